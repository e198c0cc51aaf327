import { describe, expect, it } from "vitest";
import { VerifierError } from "@skep/linux";
import { formatDiagnostic, refusalDiagnostic } from "../src/index.ts";
import { withImports } from "./checklist.ts";
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

/** Kinds of refusals: the kernel's words, the line that is shown, the value that mattered, the hint. */
interface Kind {
  readonly name: string;
  readonly text: string;
  readonly says: RegExp;
  readonly line: string;
  readonly value: RegExp | null;
  readonly hint: RegExp;
}

const MAP =
  'const V = struct("V", { lock: SpinLock, n: u32, list: array(u32, 8) }); export const m = array("m", { value: V, maxEntries: 1 });';
const program = (body: string, kind = "tc"): string =>
  `${MAP}\nexport const main = ${kind}("main", (ctx) => {\nconst v = m.get(0); if (!v) return 0;\n${body}\n});`;

const KINDS: readonly Kind[] = [
  {
    name: "a signed index without a lower bound",
    text: program("const i = i32(ctx.mark);\nif (i > 7) return 1;\nreturn v.list[u32(i)]!;"),
    says: /unbounded memory access|max value is outside|invalid access to map value/,
    line: "return v.list[u32(i)]!;",
    value: /r\d is map_value\(/,
    hint: /bound/,
  },
  {
    name: "a header that the author vouched for",
    text: program("const e = ctx.header(Ethernet, 0)!;\nreturn e.type;"),
    says: /invalid access to packet|outside of the packet|invalid mem access/,
    line: "return e.type;",
    value: /r\d is /,
    hint: /bound the index|may be null/,
  },
  {
    name: "a loop that never ends",
    text: program("let n: u32 = 1;\nwhile (n !== 0) { n |= ctx.mark; n |= 1; }\nreturn n;"),
    says: /infinite loop|too large|too complex/,
    line: "while (n !== 0)",
    value: null,
    hint: /loop\(times, body\)/,
  },
  {
    name: "a call under a lock",
    text: program("spinLock(v.lock);\nconst now = ktimeGetNs();\nspinUnlock(v.lock); return u32(now);"),
    says: /function calls are not allowed while holding a lock/,
    line: "const now = ktimeGetNs();",
    value: null,
    hint: /nothing is called/,
  },
  {
    name: "a lock that is not given back",
    text: program("spinLock(v.lock);\nv.n += 1;\nif (v.n === 3) return 1;\nspinUnlock(v.lock); return 0;"),
    says: /lock/,
    line: "if (v.n === 3) return 1;",
    value: null,
    hint: /spinUnlock|release/,
  },
  {
    name: "a lock that is taken twice",
    text: program("spinLock(v.lock);\nspinLock(v.lock);\nspinUnlock(v.lock); return 0;"),
    says: /lock/,
    line: "spinLock(v.lock);",
    value: null,
    hint: /spinUnlock/,
  },
  {
    name: "a socket that is given back twice",
    text: program(
      "const s = skLookupUdp(ctx, Ipv4Tuple.zero(), 0n, 0n); if (!s) return 0;\nskRelease(s);\nskRelease(s);\nreturn 1;",
    ),
    says: /release|reference|type=scalar/,
    line: "skRelease(s);",
    value: /r1 is scalar/,
    hint: /given back before/,
  },
  {
    name: "a socket that is read after it was given back",
    text: program(
      "const s = skLookupUdp(ctx, Ipv4Tuple.zero(), 0n, 0n); if (!s) return 0;\nskRelease(s);\nreturn s.mark;",
    ),
    says: /invalid mem access 'scalar'/,
    line: "return s.mark;",
    value: /r\d is scalar/,
    hint: /given back before/,
  },
  {
    name: "a ring's record that is submitted twice",
    text: `const W = struct("W", { n: u32 }); export const ring = ringBuf("ring", W, { bytes: 4096 });\nexport const main = xdp("main", () => {\nconst r = ring.reserve(); if (!r) return 0;\nring.submit(r);\nring.submit(r);\nreturn 1;\n});`,
    says: /type=scalar expected=ringbuf_mem|release/,
    line: "ring.submit(r);",
    value: /r1 is scalar/,
    hint: /given back before/,
  },
  {
    name: "calls that are too deep",
    text: `${Array.from({ length: 8 }, (_, at) => `const f${8 - at} = subprogram((n: u32): u32 => ${at === 0 ? "n + 1" : `f${9 - at}(n + 1) + 1`});`).join("\n")}\nexport const main = xdp("main", (ctx) => f1(ctx.length));`,
    says: /frames is too deep/,
    line: "const f",
    value: null,
    hint: /eight calls/,
  },
  {
    name: "a task that belongs to the iterator",
    text: `interface Task { readonly "~btf"?: "struct task_struct"; pid: number & { readonly "~int"?: "i32" } }\nexport const main = syscall("main", struct("Sum", { n: u32 }), (sum) => {\nrcuReadLock(); for (const task of tasks<Task>("processes")) {\nfor (const thread of threadsOf<Task>(task)) sum.n += u32(thread.pid);\n} rcuReadUnlock(); return 0;\n});`,
    says: /must be referenced or trusted/,
    line: "threadsOf<Task>(task)",
    value: /r2 is rcu_ptr_task_struct/,
    hint: /bpf_task_acquire/,
  },
  {
    name: "more rounds than the verifier walks",
    text: program(
      "let at: u32 = 0;\nfor (const _ of range(100000)) { if (v.list[at & 7] === 77) break; at = at * 5 + v.n; v.list[at & 7] = at; }\nreturn at;",
    ),
    says: /too large|too complex|infinite/,
    line: "for (const _ of range(100000))",
    value: null,
    hint: /loop\(times, body\)/,
  },
];

describe.skipIf(!canUseBpf())("kinds of refusals", () => {
  it.each(KINDS)("$name", ({ text, says, line, value, hint }) => {
    const { shown } = refusal(withImports(text));
    expect(shown[0]).toMatch(/^main\.bpf\.ts:\d+:\d+: error SKEP3001: the kernel refuses main: /);
    expect(shown[0]).toMatch(says);
    expect(shown[1]).toContain(line);
    if (value) expect(shown.join("\n")).toMatch(value);
    expect(shown.find((one) => one.startsWith("  hint:")) ?? "").toMatch(hint);
  });
});
