import { describe, expect, it } from "vitest";
import { VerifierError } from "@skep/linux";
import { formatDiagnostic, refusalDiagnostic } from "../src/index.ts";
import { bpf, ENTRY, specOf } from "./harness.ts";
import { canUseBpf } from "./privilege.ts";

/** The kernel's refusal as it is shown: without addresses and ids, which differ from run to run. */
function refusal(text: string): { shown: string[]; error: VerifierError } {
  try {
    bpf.load(specOf(text)).close();
  } catch (error) {
    if (!(error instanceof VerifierError)) throw error;
    // The file is named as the object names it.
    const diagnostic = refusalDiagnostic(error);
    expect(ENTRY.endsWith(diagnostic.span?.file ?? "?")).toBe(true);
    return { shown: formatDiagnostic(diagnostic, text).split("\n"), error };
  }
  throw new Error("the kernel took it");
}

const HEAD = `import { array, hash, skLookupUdp, struct, tc, u32 } from "@skep/bpf";
import { Ipv4Tuple } from "@skep/bpf/net";
const V = struct("V", { n: u32, list: array(u32, 8) });
export const m = hash("m", { key: u32, value: V, maxEntries: 4 });
`;

describe.skipIf(!canUseBpf())("what the kernel refuses", () => {
  it("a null that the author vouched for", () => {
    const { shown } = refusal(`${HEAD}export const main = tc("main", (ctx) => {
  const value = m.get(1)!;
  return value.n;
});`);
    expect(shown.slice(0, 3)).toEqual([
      "main.bpf.ts:7:3: error SKEP3001: the kernel refuses main: R0 invalid mem access 'map_value_or_null'",
      "7 |   return value.n;",
      "  |   ^~~~~~~~~~~~~~~",
    ]);
    expect(shown[3]).toBe("  hint: it may be null here: check it before it is used");
    expect(shown.at(-1)).toMatch(/^ {2}note: r0 is map_value_or_null\(.*map=m,ks=4,vs=36\)$/);
  });

  it("an index that may be outside, with its range", () => {
    const { shown } = refusal(`${HEAD}export const main = tc("main", (ctx) => {
  const value = m.get(1);
  if (!value) return 0;
  const at = ctx.mark & 15;
  return value.list[at]!;
});`);
    expect(shown[0]).toMatch(
      /^main\.bpf\.ts:9:3: error SKEP3001: .*invalid access to map value, value_size=36 off=64 size=4/,
    );
    expect(shown[1]).toBe("9 |   return value.list[at]!;");
    expect(shown).toContain("  hint: bound the index or offset first: if (index < length)");
    // The largest offset, 15 elements of four bytes, is among the values that are shown.
    expect(shown.join("\n")).toMatch(/note: r\d is map_value\(.*umax=.*60/);
  });

  it("a reference that is not released", () => {
    const { shown, error } = refusal(`${HEAD}export const main = tc("main", (ctx) => {
  const socket = skLookupUdp(ctx, Ipv4Tuple.zero(), 0n, 0n);
  return socket ? 1 : 0;
});`);
    expect(shown[1]).toBe("7 |   return socket ? 1 : 0;");
    expect(shown).toContain("  hint: release it on every way out: try { ... } finally { ... }");
    expect(error.log).toContain("reference leak");
  });

  const TREE = `import { array, objDrop, objNew, RbNode, rbRoot, rbtreeAdd, SpinLock, struct, tc, u64 } from "@skep/bpf";
const Node = struct("Node", { key: u64, node: RbNode });
const Tree = struct("Tree", { lock: SpinLock, root: rbRoot(Node, "node") });
export const trees = array("trees", { value: Tree, maxEntries: 1 });
export const license = "GPL";
`;

  it("an object that is dropped by nobody", () => {
    const { shown } = refusal(`${TREE}export const main = tc("main", () => {
  const node = objNew(Node);
  if (!node) return 1;
  return 0;
});`);
    expect(shown[0]).toMatch(/^main\.bpf\.ts:9:3: error SKEP3001: .*reference leak/);
    expect(shown[1]).toBe("9 |   return 0;");
    expect(shown).toContain("  hint: release it on every way out: try { ... } finally { ... }");
  });

  it("a tree without its lock", () => {
    const { shown } = refusal(`${TREE}export const main = tc("main", () => {
  const tree = trees.get(0);
  const node = objNew(Node);
  if (!node) return 1;
  if (tree) rbtreeAdd(tree.root, node, (a, b) => a.key < b.key);
  else objDrop(node);
  return 0;
});`);
    expect(shown[0]).toMatch(/^main\.bpf\.ts:10:\d+: error SKEP3001: .*bpf_spin_lock at off=0 must be held/);
    expect(shown[1]).toBe("10 |   if (tree) rbtreeAdd(tree.root, node, (a, b) => a.key < b.key);");
  });
});
