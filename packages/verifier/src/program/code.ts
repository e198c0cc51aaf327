/**
 * @module
 * A linked program in columns, with jumps and calls as indexes of instructions, its subprograms, and what its references stand for.
 */
import { CALL, LDDW, insnClass, jmpBits, pseudo, pseudoCall, slotDistance, slots } from "@skep/isa";
import type { Instruction } from "@skep/isa";
import type { LinkedLine } from "@skep/object";
import type { MapInfo } from "./maps.ts";

/** What an `lddw` or a `call` of a kernel function stands for. */
export type Target =
  | { readonly kind: "map"; readonly map: MapInfo }
  | { readonly kind: "value"; readonly map: MapInfo; readonly offset: number }
  | { readonly kind: "kfunc"; readonly name: string; readonly weak: boolean; readonly fn: string | null }
  | {
      readonly kind: "ksym";
      readonly name: string;
      readonly weak: boolean;
      readonly typed: boolean;
      readonly fn: string | null;
    };

export interface Subprogram {
  readonly index: number;
  readonly name: string;
  /** First instruction, and the one after its last. */
  readonly start: number;
  readonly end: number;
  /** BTF id of the FUNC; 0 where there is none. */
  readonly typeId: number;
  /** Verified once, alone, by its prototype. */
  readonly isGlobal: boolean;
}

export interface Code {
  readonly instructions: readonly Instruction[];
  readonly count: number;
  readonly opcode: Uint8Array;
  readonly dst: Uint8Array;
  readonly src: Uint8Array;
  readonly offset: Int16Array;
  readonly imm: Int32Array;
  readonly high: Int32Array;
  /** Where a jump, local call or function's address goes; -1: nowhere. */
  readonly target: Int32Array;
  /** First slot of an instruction. */
  readonly slotOf: Int32Array;
  readonly targets: ReadonlyMap<number, Target>;
  readonly subprograms: readonly Subprogram[];
  /** The subprogram of every instruction. */
  readonly subprogramOf: Int32Array;
  readonly lines: readonly LinkedLine[];
}

export type FunctionPart = Pick<Subprogram, "name" | "start" | "typeId" | "isGlobal">;

/** What `layOut` takes beside the instructions. */
export interface CodeParts {
  readonly targets: ReadonlyMap<number, Target>;
  /** Functions that are known; what calls lead to beside them is static. */
  readonly functions: readonly FunctionPart[];
  readonly lines: readonly LinkedLine[];
}

/** Every function: the ones that are known, and where calls and callbacks lead. */
function subprogramsOf(
  parts: CodeParts,
  code: { readonly count: number; readonly target: Int32Array; readonly instructions: readonly Instruction[] },
): Subprogram[] {
  const starts = new Map<number, FunctionPart>(parts.functions.map((each) => [each.start, each]));
  if (!starts.has(0)) starts.set(0, { name: "main", start: 0, typeId: 0, isGlobal: false });
  code.instructions.forEach((insn, at) => {
    const leads =
      (insn.opcode === CALL && insn.src === pseudoCall.local) || (insn.opcode === LDDW && insn.src === pseudo.func);
    const start = code.target[at] as number;
    if (leads && start >= 0 && !starts.has(start))
      starts.set(start, { name: `function_${start}`, start, typeId: 0, isGlobal: false });
  });
  const sorted = [...starts.values()].sort((a, b) => a.start - b.start);
  return sorted.map((each, index) => ({ ...each, index, end: sorted[index + 1]?.start ?? code.count }));
}

export function layOut(instructions: readonly Instruction[], parts: CodeParts): Code {
  const count = instructions.length;
  const slotOf = new Int32Array(count + 1);
  const indexOf = new Map<number, number>();
  let slot = 0;
  instructions.forEach((insn, index) => {
    slotOf[index] = slot;
    indexOf.set(slot, index);
    slot += slots(insn);
  });
  slotOf[count] = slot;
  const target = new Int32Array(count).fill(-1);
  instructions.forEach((insn, index) => {
    const distance = slotDistance(insn);
    if (distance !== null) target[index] = indexOf.get((slotOf[index] ?? 0) + slots(insn) + distance) ?? -1;
  });
  const subprograms = subprogramsOf(parts, { count, target, instructions });
  const subprogramOf = new Int32Array(count);
  for (const each of subprograms) subprogramOf.fill(each.index, each.start, each.end);
  return {
    instructions,
    count,
    opcode: Uint8Array.from(instructions, (insn) => insn.opcode),
    dst: Uint8Array.from(instructions, (insn) => insn.dst),
    src: Uint8Array.from(instructions, (insn) => insn.src),
    offset: Int16Array.from(instructions, (insn) => insn.offset),
    imm: Int32Array.from(instructions, (insn) => insn.imm),
    high: Int32Array.from(instructions, (insn) => insn.immHigh ?? 0),
    target,
    slotOf,
    targets: parts.targets,
    subprograms,
    subprogramOf,
    lines: parts.lines,
  };
}

export function isLocalCall(code: Code, at: number): boolean {
  return code.opcode[at] === CALL && code.src[at] === pseudoCall.local;
}

export function isFunctionAddress(code: Code, at: number): boolean {
  return code.opcode[at] === LDDW && code.src[at] === pseudo.func;
}

/** A jump with a condition: both ways are walked. */
export function isConditional(opcode: number): boolean {
  const kind = opcode & 7;
  if (kind !== insnClass.jmp && kind !== insnClass.jmp32) return false;
  const op = opcode & 0xf0;
  return op !== jmpBits.ja && op !== jmpBits.call && op !== jmpBits.exit;
}

export function isGoto(opcode: number): boolean {
  const kind = opcode & 7;
  return (kind === insnClass.jmp || kind === insnClass.jmp32) && (opcode & 0xf0) === jmpBits.ja;
}

/** The line of an instruction; null where the program has no line information. */
export function lineOf(code: Code, at: number): LinkedLine | null {
  const slot = code.slotOf[at] ?? 0;
  let low = 0;
  let high = code.lines.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((code.lines[middle]?.slot ?? 0) <= slot) low = middle + 1;
    else high = middle;
  }
  return code.lines[low - 1] ?? null;
}
