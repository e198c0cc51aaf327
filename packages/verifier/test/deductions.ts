/**
 * @module
 * What the verifier has to work out before a branch is known never to be taken, or an access to be good: a program that it takes, and the same
 * with one number changed, that it refuses. Asked of the kernel's too.
 */
import { assemble } from "@skep/isa";
import type { FuzzProgram } from "./generate.ts";

export interface Deduction {
  readonly name: string;
  readonly accepted: FuzzProgram;
  readonly refused: FuzzProgram;
}

function program(lines: readonly string[]): FuzzProgram {
  const { instructions, diagnostics, references } = assemble(lines.join("\n"), { notation: "kernel" });
  if (diagnostics.length > 0) throw new Error(diagnostics.map(({ message }) => message).join("\n"));
  const maps = new Map(
    references.flatMap((each) => (each.kind === "map" ? [[each.at, { map: each.map, offset: null }] as const] : [])),
  );
  return { type: "sched_cls", attachType: undefined, instructions, maps };
}

/** Writes the frame pointer where the branches before may all be passed. */
const impossible = (lines: readonly string[]): FuzzProgram =>
  program(["call bpf_get_prandom_u32", ...lines, "r10 = 0", "r0 = 0", "exit"]);

const value = (lines: readonly string[]): FuzzProgram =>
  program([
    ...["call bpf_ktime_get_ns", "r6 = r0", "*(u32 *)(r10 - 4) = 0", "r2 = r10", "r2 += -4", "r1 = map[name:array]"],
    ...["call bpf_map_lookup_elem", "if r0 != 0 goto +2", "r0 = 0", "exit", ...lines],
  ]);

const copied = (last: number): readonly string[] => [
  ...["r7 = r0"],
  // A number that is a constant away from another gets copies of its own.
  ...["r2 = r6", "r6 = r2", "r6 += 1", "r3 = r6", `if r3 <= ${last} goto +2`, "r0 = 0", "exit", "r7 += r6"],
  ...["r0 = *(u8 *)(r7 + 10)", "exit"],
];

export const deductions: readonly Deduction[] = [
  {
    name: "a byte with a sign, at most a word whose sign is set: it has none",
    accepted: impossible(["r0 = (s8)r0", "r1 = -256", "if r0 > r1 goto +2", "if r0 < 128 goto +1"]),
    refused: impossible(["r0 = (s8)r0", "r1 = -128", "if r0 > r1 goto +2", "if r0 < 128 goto +1"]),
  },
  {
    name: "32 bits: unsigned from 3 and signed up to 1",
    accepted: impossible(["if w0 < 3 goto +3", "if w0 s> 1 goto +2", "if w0 s< 0 goto +1"]),
    refused: impossible(["if w0 < 1 goto +3", "if w0 s> 1 goto +2", "if w0 s< 0 goto +1"]),
  },
  {
    name: "32 bits: unsigned up to 2^31 + 3 and signed from -3",
    accepted: impossible([
      "if w0 > -2147483645 goto +4",
      "if w0 s< -3 goto +3",
      "if w0 s> 5 goto +2",
      "if w0 <= 5 goto +1",
    ]),
    refused: impossible(["if w0 > -2 goto +4", "if w0 s< -3 goto +3", "if w0 s> 5 goto +2", "if w0 <= 5 goto +1"]),
  },
  {
    name: "less than 2^63: not negative",
    accepted: value([
      ...["r2 = 0x8000000000000000 ll", "if r2 > r6 goto +2", "r0 = 0", "exit", "if r6 s> 1 goto +2", "r0 += r6"],
      ...["r0 = *(u8 *)(r0 + 0)", "r0 = 0", "exit"],
    ]),
    refused: value([
      ...["r2 = 0x8000000000000001 ll", "if r2 > r6 goto +2", "r0 = 0", "exit", "if r6 s> 1 goto +2", "r0 += r6"],
      ...["r0 = *(u8 *)(r0 + 0)", "r0 = 0", "exit"],
    ]),
  },
  {
    name: "a copy of a number that is one more than another",
    accepted: value(copied(5)),
    refused: value(copied(6)),
  },
];
