import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { emitModule } from "@skep/ir";
import { writeObject } from "@skep/object";
import { lowerAgain } from "../src/compile.ts";
import { compile, lowerModule } from "../src/index.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "../../..");
const corpus = join(root, "examples/kernel");

const PARTS = {
  "main.bpf.ts": `import { tc, TC, u32 } from "@skep/bpf";
import { scaled, weigh } from "./weigh.bpf.ts";
import { note } from "./notes.bpf.ts";
export const first = tc("first", (ctx) => {
  const weight: u32 = weigh(ctx.length, ctx.mark);
  if (weight > 900) note(weight);
  return TC.OK;
});
export const second = tc("second", (ctx) => {
  note(scaled(ctx.mark) + 7);
  return scaled(ctx.length) > 50 ? TC.SHOT : TC.OK;
});
`,
  "weigh.bpf.ts": `import { subprogram, u32 } from "@skep/bpf";
import { SCALE } from "./notes.bpf.ts";
export const scaled = subprogram((n: u32): u32 => (n * SCALE) / 5 + 2);
export function weigh(length: u32, mark: u32): u32 {
  let sum: u32 = 0;
  for (let i: u32 = 0; i < 4; i++) sum += scaled(length + i) ^ mark;
  return sum;
}
`,
  "notes.bpf.ts": `import { array, u32, u64 } from "@skep/bpf";
export const SCALE = 3;
export const seen = array("seen", { value: u64, maxEntries: 16 });
export function note(what: u32): void {
  const counter = seen.ref(what & 15);
  if (counter) counter.value += 1n;
}
`,
};

/** A seeded sequence of numbers below `bound`. */
function randomBelow(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
}

type Random = (bound: number) => number;
type Edit = (text: string, random: Random) => string;

/** Puts something before a statement of the top level. */
function before(text: string, random: Random, what: string): string {
  const starts = [...text.matchAll(/^(?=export |const |function |\/\*\*)/gm)].map(({ index }) => index);
  const at = starts[random(starts.length)] ?? 0;
  return `${text.slice(0, at)}${what}${text.slice(at)}`;
}

function otherNumber(text: string, random: Random): string {
  const all = [...text.matchAll(/(?<=[=<>+*&|(] )\d+(?=n?[;,) ])/g)];
  const one = all[random(all.length)];
  if (!one) return `${text}\n`;
  return `${text.slice(0, one.index)}${Number(one[0]) + 1}${text.slice(one.index + one[0].length)}`;
}

const EDITS: readonly Edit[] = [
  (text, random) => before(text, random, `// edit ${random(1000)}\n`),
  (text, random) => before(text, random, "\n".repeat(1 + random(3))),
  (text, random) => text.replace(/;\n/g, (end) => (random(8) === 0 ? "; // here\n" : end)),
  (text, random) => text.replace(/\n {2}(?=\S)/g, (indent) => (random(5) === 0 ? "\n\n   " : indent)),
  otherNumber,
  otherNumber,
  (text) => text.replace(/\bTC\.OK\b/, "TC.SHOT").replace(/\bXDP\.PASS\b/, "XDP.DROP"),
  (text) => text.replace(/\nexport (const|function)/, "\nconst unusedHere = 5;\nexport $1"),
];

/** Files of a folder, one of which is edited; they are found in any folder. */
function host(folder: string, edited: ReadonlyMap<string, string>) {
  return {
    readFile: (path: string): string | undefined => {
      const changed = edited.get(basename(path));
      if (changed !== undefined) return changed;
      try {
        return readFileSync(join(folder, basename(path)), "utf8");
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
        throw error;
      }
    },
  };
}

const outcome = (spec: Parameters<typeof writeObject>[0] | null, diagnostics: readonly { code: string }[]): string =>
  spec ? Buffer.from(writeObject(spec)).toString("hex") : diagnostics.map(({ code }) => code).join(" ");

let folders = 0;

/** With nothing of an earlier compilation: another folder, and no cache. */
function fromNothing(folder: string, entry: string, edited: ReadonlyMap<string, string>): string {
  const { module, diagnostics } = lowerModule(`/cold/${folders++}/${entry}`, host(folder, edited));
  if (!module) return outcome(null, diagnostics);
  const emitted = emitModule(module);
  const failed = emitted.diagnostics.some(({ severity }) => severity === "error");
  return outcome(failed ? null : emitted.spec, [...diagnostics, ...emitted.diagnostics]);
}

function again(folder: string, entry: string, edited: ReadonlyMap<string, string>): string {
  const { spec, diagnostics } = compile(`/warm/${basename(folder)}/${entry}`, host(folder, edited));
  return outcome(spec, diagnostics);
}

const REFERENCES: ReadonlySet<string> = new Set(["to", "then", "else", "default"]);

/** Instructions and blocks that are referred to stand there by their numbers. */
const asText = (value: unknown): string =>
  JSON.stringify(value, (key, part: unknown) => {
    if (typeof part === "bigint") return `${part}n`;
    if (part instanceof Uint8Array) return [...part].join(" ");
    if (key === "args" && Array.isArray(part)) return part.map(({ id }: { id: number }) => id);
    return part && REFERENCES.has(key) ? (part as { id: number }).id : part;
  });

/** What lowering makes, each part as a digest: places, numbers of types and texts too. */
function parts({ module, diagnostics }: ReturnType<typeof lowerModule>): Record<string, string> {
  if (!module) return { diagnostics: diagnostics.map(({ code, message }) => `${code} ${message}`).join("\n") };
  const { functions, btf, maps, data, license } = module;
  const bytes = (value: unknown): string => createHash("sha256").update(asText(value)).digest("hex");
  const named = functions.map((fn): [string, string] => [fn.name, bytes(fn)]);
  return { ...Object.fromEntries(named), btf: bytes(btf), maps: bytes(maps), data: bytes(data), license };
}

const datapath = join(root, "packages/datapath/src/bpf");

describe("lowering the datapath's programs at sockets again", () => {
  const edits: readonly (readonly [file: string, from: RegExp, to: string])[] = [
    ["socket.bpf.ts", /(const EHOSTUNREACH = )\d+/, "$14711"],
    ["policy.bpf.ts", /$/, "const nowhereUsed = 3;\n"],
  ];

  it("gives what lowering them from nothing gives", () => {
    const edited = new Map<string, string>();
    const run = (lower: typeof lowerAgain) => lower("/again/socket.bpf.ts", host(datapath, edited));
    let before = run(lowerAgain).module?.functions ?? [];
    const kept = edits.map(([file, from, to]) => {
      const text = readFileSync(join(datapath, file), "utf8");
      expect(text).toMatch(from);
      edited.set(file, text.replace(from, to));
      const after = run(lowerAgain);
      expect(parts(after)).toEqual(parts(run(lowerModule)));
      const functions = after.module?.functions ?? [];
      const same = functions.filter((fn) => before.includes(fn)).length;
      before = functions;
      return same / functions.length;
    });
    expect(kept[0]).toBeGreaterThan(0);
    expect(kept[0]).toBeLessThan(1);
    expect(kept[1]).toBe(1);
  });
});

describe("a further compilation", () => {
  const random = randomBelow(20);
  const names = readdirSync(corpus).filter((name) => name.endsWith(".bpf.ts"));

  it.each(Array.from({ length: 9 }, () => names[random(names.length)] as string))(
    "of an edited %s gives what one from nothing gives",
    (name) => {
      let text = readFileSync(join(corpus, name), "utf8");
      for (let step = 0; step < 3; step++) {
        const edited = new Map([[name, text]]);
        expect(again(corpus, name, edited)).toBe(fromNothing(corpus, name, edited));
        text = (EDITS[random(EDITS.length)] as Edit)(text, random);
      }
    },
  );

  it("of a module whose imports are edited, too", () => {
    const edited = new Map(Object.entries(PARTS));
    const names = Object.keys(PARTS);
    expect(again("/parts", "main.bpf.ts", edited)).toMatch(/^7f454c46/);
    for (let step = 0; step < 12; step++) {
      const name = names[random(names.length)] as string;
      edited.set(name, (EDITS[random(EDITS.length)] as Edit)(edited.get(name) ?? "", random));
      expect(again("/parts", "main.bpf.ts", edited)).toBe(fromNothing("/parts", "main.bpf.ts", edited));
    }
  });

  it("of a module where another file decides what may be null", () => {
    const main = `import { tc, TC } from "@skep/bpf";
import { pick } from "./pick.bpf.ts";
export const first = tc("first", (ctx) => {
  const found = pick(ctx.mark & 7);
  return found !== null && found.value > 3n ? TC.SHOT : TC.OK;
});
`;
    const pick = (result: string): string => `import { array, u32, u64 } from "@skep/bpf";
export const seen = array("seen", { value: u64, maxEntries: 8 });
export function pick(n: u32) { return ${result}; }
`;
    const outcomes = ["seen.ref(n)", "seen.ref(n)!", "seen.ref(n)", "n"].map((result) => {
      const edited = new Map([
        ["main.bpf.ts", main],
        ["pick.bpf.ts", pick(result)],
      ]);
      const found = again("/null", "main.bpf.ts", edited);
      expect(found).toBe(fromNothing("/null", "main.bpf.ts", edited));
      return found;
    });
    expect(new Set(outcomes).size).toBe(3);
  });
});

describe("checking again", () => {
  const files = new Map([
    [
      "main.bpf.ts",
      `import { tc, TC } from "@skep/bpf";
import { Limits, scaled, SCALE } from "./parts.bpf.ts";
import * as parts from "./parts.bpf.ts";
export * from "./more.bpf.ts";
export const first = tc("first", (ctx) => {
  const limits: Limits = { most: 3, least: SCALE };
  return scaled(ctx.mark) > parts.half(limits.most) ? TC.SHOT : TC.OK;
});
`,
    ],
    [
      "parts.bpf.ts",
      `import { struct, u32, type Of } from "@skep/bpf";
import type { Sizes } from "./sizes.d.ts";
type Three<T extends 3> = T;
export type Most = Three<Sizes["most"]>;
export const SCALE = 3;
export const Limits = struct("Limits", { most: u32, least: u32 });
export type Limits = Of<typeof Limits>;
const table = { low: 1, high: SCALE } as const;
function bounded(n: u32): u32 { return n > table.high ? table.high : n; }
export function scaled(n: u32): u32 { return bounded(n * SCALE); }
export function half(n: u32) { return n / 2; }
`,
    ],
    ["sizes.d.ts", "export interface Sizes { readonly most: 3 }\n"],
    [
      "more.bpf.ts",
      `import { u32, array } from "@skep/bpf";\nexport const seen = array("seen", { value: u32, maxEntries: 4 });\n`,
    ],
  ]);
  const steps: readonly (readonly [file: string, from: string | RegExp, to: string])[] = [
    ["sizes.d.ts", "most: 3", "most: 4"],
    ["sizes.d.ts", "most: 4", "most: 3"],
    ["parts.bpf.ts", "SCALE = 3", "SCALE = 4"],
    ["parts.bpf.ts", "high: SCALE", 'high: "much"'],
    ["parts.bpf.ts", 'high: "much"', "high: 9"],
    ["parts.bpf.ts", "SCALE = 4", 'SCALE = "4"'],
    ["parts.bpf.ts", 'SCALE = "4"', "SCALE = 5"],
    ["parts.bpf.ts", "return n / 2", "return n > 2"],
    ["parts.bpf.ts", "return n > 2", "return n / 3"],
    ["parts.bpf.ts", "most: u32", "most: u32, more: u32"],
    ["parts.bpf.ts", "most: u32, more: u32", "most: u32"],
    ["parts.bpf.ts", "export function scaled", "function scaled"],
    ["parts.bpf.ts", "function scaled", "export function scaled"],
    ["parts.bpf.ts", "(n: u32): u32 { return bounded", "(n: u32, by: u32): u32 { return bounded"],
    ["parts.bpf.ts", "(n: u32, by: u32): u32 { return bounded", "(n: u32): u32 { return bounded"],
    ["parts.bpf.ts", "function half", "async function half"],
    ["parts.bpf.ts", "async function half", "function half"],
    ["parts.bpf.ts", /$/, "export const first = 1;\n"],
    ["more.bpf.ts", /$/, "export const first = 1;\n"],
    ["more.bpf.ts", "first", "SCALE"],
    ["more.bpf.ts", /$/, 'export * from "./parts.bpf.ts";\n'],
    ["parts.bpf.ts", /$/, "// @ts-expect-error\nconst unused = SCALE;\n"],
    ["parts.bpf.ts", "// @ts-expect-error\n", ""],
    ["more.bpf.ts", 'export * from "./parts.bpf.ts";\n', ""],
    ["more.bpf.ts", "const SCALE = 1", "type Table = import('./parts.bpf.ts').Limits"],
  ];

  it("finds what checking from nothing finds", () => {
    const edited = new Map(files);
    const found = (folder: string): unknown[] =>
      lowerModule(`${folder}/main.bpf.ts`, host("/none", edited)).diagnostics.map(({ span, ...rest }) => ({
        ...rest,
        at: span && [basename(span.file), span.offset, span.length],
      }));
    expect(found("/checked")).toEqual([]);
    const kinds = new Set<string>();
    for (const [file, from, to] of steps) {
      const text = edited.get(file) ?? "";
      edited.set(file, text.replace(from, to));
      expect(edited.get(file)).not.toBe(text);
      const list = found("/checked");
      expect(list).toEqual(found(`/fresh/${folders++}`));
      for (const one of list) kinds.add((one as { code: string }).code);
    }
    expect(kinds).toContain("TS2344");
    expect(kinds.size).toBeGreaterThan(4);
  });
});
