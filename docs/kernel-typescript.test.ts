import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { compile, formatDiagnostic } from "@skep/compiler";
import { PROGRAM_KINDS } from "@skep/bpf";
import * as checksum from "@skep/bpf/checksum";
import * as hash from "@skep/bpf/hash";
import * as maps from "@skep/bpf/maps";
import * as net from "@skep/bpf/net";
import * as parse from "@skep/bpf/parse";
import * as stats from "@skep/bpf/stats";

const text = readFileSync(new URL("./kernel-typescript.md", import.meta.url), "utf8");

/** Compiles a module; the diagnostics as people see them. */
function compiled(source: string): string[] {
  const { diagnostics, sources } = compile("/main.bpf.ts", {
    readFile: (path) => (path === "/main.bpf.ts" ? source : undefined),
  });
  return diagnostics.map((one) => formatDiagnostic(one, one.span && sources[one.span.file]));
}

describe("the reference of the language", () => {
  const blocks = [...text.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, block]) => block ?? "");
  it.each(blocks.map((block, at) => [at + 1, block] as const))("example %i compiles", (_at, block) => {
    expect(compiled(block)).toEqual([]);
  });

  it("names every program type", () => {
    const named = (kind: string): boolean =>
      text.includes(kind) || /^cgroup(?:Bind|Connect|Sendmsg|Recvmsg|Getpeername|Getsockname)(?:4|6|Unix)$/.test(kind);
    expect(Object.keys(PROGRAM_KINDS).filter((kind) => !named(kind))).toEqual([]);
  });

  it.each(Object.entries({ net, parse, checksum, hash, stats, maps }))(
    "names all of @skep/bpf/%s",
    (_name, library) => {
      expect(Object.keys(library).length).toBeGreaterThan(4);
      expect(Object.keys(library).filter((each) => !text.includes(`\`${each}\``))).toEqual([]);
    },
  );

  const TYPES = ["u8", "u16", "u32", "i8", "i16", "i32", "u64", "i64"] as const;

  /** Cells of the table of operand types: left, right, result. */
  const cells = text
    .split("\n")
    .filter((line) => TYPES.some((type) => line.startsWith(`| \`${type}\``)) && line.split("|").length === 11)
    .flatMap((line) => {
      const [, left = "", ...results] = line.split("|").map((cell) => cell.trim().replaceAll("`", ""));
      return TYPES.map((right, at) => ({ left, right, result: results[at] ?? "" }));
    });

  it("says what two operands become", () => {
    expect(cells).toHaveLength(64);
    const lines = cells.map(({ left, right }) => {
      // What fits neither a signed nor an unsigned type of the smallest kind tells its own.
      const [signed, unsigned] = left.endsWith("64") || right.endsWith("64") ? ["i64", "u64"] : ["i8", "u8"];
      return `{ const p: ${signed} = io.${left} + io.${right}; const q: ${unsigned} = io.${left} + io.${right}; }`;
    });
    const source = [
      `import { struct, xdp, XDP, ${TYPES.join(", ")} } from "@skep/bpf";`,
      `const Io = struct("Io", { ${TYPES.join(", ")} });`,
      'export const main = xdp("main", (ctx) => { const io = ctx.header(Io, 0); if (!io) return XDP.DROP;',
      ...lines,
      "return XDP.PASS; });",
    ].join("\n");
    const { diagnostics } = compile("/m.bpf.ts", { readFile: (path) => (path === "/m.bpf.ts" ? source : undefined) });
    const found = cells.map(({ left, right }, at) => {
      const own = diagnostics.filter(({ span }) => span?.line === at + 4);
      const told = own.map(({ message }) => /a value of type (\w+) does not fit/.exec(message)?.[1]).find((one) => one);
      return { left, right, result: told ?? (own.length > 0 ? "refused" : "nothing") };
    });
    expect(found).toEqual(cells);
  });
});
