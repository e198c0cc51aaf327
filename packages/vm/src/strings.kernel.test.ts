/** The kernel's functions on strings, in the kernel and here. Engines share them. */
import { describe, expect, test } from "vitest";
import type { Instruction } from "@skep/isa";
import { features, openLinux } from "@skep/linux";
import type { ObjectSpec, Reference } from "@skep/object";
import { Vm } from "./vm.ts";

const privileged = process.getuid?.() === 0;
if (!privileged) console.warn("skipped: running programs in the kernel needs root and BPF");

const SECOND = 32;

/** A string, or a number. */
type Argument = string | number;

/** A program that calls the function with strings of a data section. */
function specOf(name: string, args: readonly Argument[]): ObjectSpec {
  const contents = new Uint8Array(64);
  const instructions: Instruction[] = [];
  const references: Reference[] = [];
  args.forEach((each, index) => {
    const dst = index + 1;
    if (typeof each === "number") {
      instructions.push({ opcode: 0xb7, dst, src: 0, offset: 0, imm: each });
      return;
    }
    const offset = index === 0 ? 0 : SECOND;
    contents.set(
      [...each].map((letter) => letter.charCodeAt(0)),
      offset,
    );
    references.push({ at: instructions.length, kind: "data", map: ".data", offset });
    instructions.push({ opcode: 0x18, dst, src: 0, offset: 0, imm: 0 });
  });
  references.push({ at: instructions.length, kind: "kfunc", name, weak: false });
  instructions.push({ opcode: 0x85, dst: 0, src: 2, offset: 0, imm: 0 });
  instructions.push({ opcode: 0x95, dst: 0, src: 0, offset: 0, imm: 0 });
  const program = {
    ...{ name: "p", section: "xdp", type: "xdp", flags: 0, linkage: "global" as const },
    ...{ instructions, references, lines: [], coreRelocations: [] },
  };
  const data = { contents, readOnly: false, variables: [] };
  const map = {
    name: ".data",
    type: "array",
    keySize: 4,
    valueSize: 64,
    maxEntries: 1,
    flags: 0,
    pinning: "none" as const,
  };
  return {
    license: "GPL",
    byteOrder: "little",
    maps: { ".data": { ...map, data } },
    functions: {},
    programs: { p: program },
  };
}

const TEXTS = ["", "a", "abc", "abcabc", "ABC", "b\u00c4\u00e4"];
const LETTERS = [0, 0x61, 0x63, 0x7a];
const pairs = TEXTS.flatMap((a) => TEXTS.map((b) => [a, b] as const));
const CALLS: readonly (readonly [string, readonly (readonly Argument[])[]])[] = [
  ["bpf_strlen", TEXTS.map((each) => [each])],
  ["bpf_strnlen", TEXTS.flatMap((each) => [0, 2, 9].map((count) => [each, count]))],
  ...["bpf_strcmp", "bpf_strcasecmp", "bpf_strspn", "bpf_strcspn", "bpf_strstr"].map((name) => [name, pairs] as const),
  ["bpf_strnstr", pairs.map(([a, b]) => [a, b, 3])],
  ...["bpf_strchr", "bpf_strchrnul", "bpf_strrchr"].map(
    (name) => [name, TEXTS.flatMap((each) => LETTERS.map((letter) => [each, letter]))] as const,
  ),
  [
    "bpf_strnchr",
    TEXTS.flatMap((each) => LETTERS.flatMap((letter) => [0, 3, 9].map((count) => [each, count, letter]))),
  ],
];

describe.skipIf(!privileged)("strings", () => {
  test.each(CALLS)("%s", { timeout: 60_000 }, (name, all) => {
    if (!features.kfunc(name)) {
      console.warn(`skipped: the kernel has no ${name}`);
      return;
    }
    const linux = openLinux();
    const vm = new Vm({ clock: () => 0n, random: () => 0 });
    const data = new Uint8Array(64);
    const wanted: unknown[] = [];
    const found: unknown[] = [];
    for (const args of all) {
      const spec = specOf(name, args);
      const kernel = linux.bpf.load(spec);
      wanted.push({ args, returned: (kernel.programs["p"]?.test({ data }).returned ?? 0) | 0 });
      kernel.close();
      const program = vm.load(spec).programs["p"];
      if (program === undefined) throw new Error("no program");
      found.push({ args, returned: vm.run(program, { packet: data }).returned | 0 });
    }
    expect(found).toEqual(wanted);
  });
});
