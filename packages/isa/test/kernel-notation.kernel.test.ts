import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Instruction } from "../src/index.ts";
import { LDDW, assemble, decode, disassemble, formatInstruction, fromTranslated } from "../src/index.ts";
import { compileC, findTool, withFolder } from "./tools.ts";

const clang = findTool("clang-19", "clang");
const bpftool = findTool("bpftool");
const root = process.getuid?.() === 0;
const missing = clang === null || bpftool === null || !root;
if (missing) console.warn("needs root, clang and bpftool: the comparison with the kernel's disassembly is skipped");

interface Loaded {
  readonly log: string;
  /** What the kernel runs, and how bpftool prints it. */
  readonly instructions: readonly Instruction[];
  readonly listing: string;
}

/** Loads the C program through bpftool on a bpffs of its own, which is unmounted again. */
function load(name: string, cpu: "v3" | "v4"): Loaded {
  return withFolder((folder) => {
    const object = compileC(name, { clang: clang ?? "", folder, cpu });
    const pins = join(folder, "pins");
    mkdirSync(pins);
    execFileSync("mount", ["-t", "bpf", "bpf", pins]);
    try {
      const pin = join(pins, name);
      const { stdout, stderr, status } = spawnSync("bpftool", ["-d", "prog", "load", object, pin], {
        encoding: "utf8",
      });
      expect(status, stderr).toBe(0);
      const image = join(folder, "image");
      execFileSync("bpftool", ["prog", "dump", "xlated", "pinned", pin, "file", image]);
      const listing = execFileSync("bpftool", ["prog", "dump", "xlated", "pinned", pin], { encoding: "utf8" });
      return { log: stdout + stderr, listing, instructions: fromTranslated(decode(readFileSync(image)).instructions) };
    } finally {
      execFileSync("umount", [pins]);
    }
  });
}

/** `call name#1` by its number alone: names of loaded code are the kernel's. */
const withoutNames = (line: string): string =>
  line.replace(/call \S+#(-?\d+)$/, "call #$1").replace(/(call pc\S+)#\S+$/, "$1");

describe.skipIf(missing)("the kernel's own disassembly", () => {
  test("of a translated program is ours, line by line", () => {
    const { instructions, listing } = load("packets", "v3");
    const theirs = listing.split("\n").filter((line) => /^\s*\d+: \(/.test(line));
    const ours = disassemble(instructions, { style: "listing" }).trimEnd().split("\n");
    expect(theirs.length).toBeGreaterThan(80);
    expect(ours.map((line) => withoutNames(line))).toEqual(theirs.map((line) => withoutNames(line)));
  });

  test("of a translated program reads back, prototypes and source lines included", () => {
    const { instructions, listing } = load("packets", "v3");
    const { instructions: read, diagnostics, labels } = assemble(listing);
    expect(diagnostics).toEqual([]);
    expect(read.length).toBe(instructions.length);
    expect(labels.get("packets")).toBe(0);
    expect(labels.has("mix")).toBe(true);
    // A translated call of a helper has an address for a number, and a name that only the kernel knows.
    const comparable = (insn: Instruction) => (insn.opcode === 0x85 ? { ...insn, src: insn.src === 1 ? 1 : 0 } : insn);
    expect(read.map(comparable)).toEqual(instructions.map(comparable));
  });

  // Since 6.15 the log begins with the whole program; before, it has the instructions that were walked.
  test.each(["packets", "skbs"])("in the verifier's log of %s reads back to what is printed", (name) => {
    const { log } = load(name, "v4");
    let compared = 0;
    for (const line of log.split("\n")) {
      const text = /^[\s\d]*\d+: (?:[0-9.]{10} )?(\([0-9a-f]{2}\) .*?)(?:\s+; .*)?$/.exec(line)?.[1];
      if (text === undefined) continue;
      const { instructions, diagnostics } = assemble(text);
      expect(diagnostics, text).toEqual([]);
      const [insn] = instructions;
      if (insn === undefined) throw new Error(`${text} gave no instruction`);
      compared++;
      expect(`(${insn.opcode.toString(16).padStart(2, "0")}) ${formatInstruction(insn)}`).toBe(text);
      if (insn.opcode !== LDDW) expect(instructions.length).toBe(1);
    }
    expect(compared).toBeGreaterThan(20);
  });
});
