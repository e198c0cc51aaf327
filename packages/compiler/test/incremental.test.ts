import { readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { emitModule } from "@skep/ir";
import { writeObject } from "@skep/object";
import { compile, lowerModule } from "../src/index.ts";

const root = join(dirname(fileURLToPath(import.meta.url)), "../../..");
const corpus = join(root, "examples/kernel");
const datapath = join(root, "packages/datapath/src/bpf");

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
    const parts = readdirSync(datapath).filter((name) => name.endsWith(".bpf.ts"));
    const edited = new Map<string, string>();
    for (let step = 0; step < 2; step++) {
      if (step === 0) again(datapath, "skep.bpf.ts", edited);
      const name = parts[random(parts.length)] as string;
      const text = edited.get(name) ?? readFileSync(join(datapath, name), "utf8");
      edited.set(name, (EDITS[random(EDITS.length)] as Edit)(text, random));
      expect(again(datapath, "skep.bpf.ts", edited)).toBe(fromNothing(datapath, "skep.bpf.ts", edited));
    }
  });
});
