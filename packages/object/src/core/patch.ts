import { CALL, LDDW, insnClass, sizeBits, sizeBytes } from "@skep/isa";
import type { Instruction } from "@skep/isa";
import { ObjectError } from "../errors.ts";
import type { SideValue } from "./value.ts";

/** The helper number of a poisoned instruction: "bad relo". The verifier accepts it only where it cannot be reached. */
export const POISON = 0xbad2310;

export interface Decision {
  /** Null: poison. */
  readonly target: SideValue | null;
  readonly local: SideValue;
  /** For messages: program and instruction. */
  readonly place: string;
}

export interface Patched {
  /** One instruction, or two where an `lddw` was poisoned. */
  readonly instructions: readonly Instruction[];
  /** Why the instruction was poisoned although there is a value. */
  readonly problem?: string;
}

const SIZE_MASK = 0x18;

/** Puts a relocation's value into its instruction (libbpf: bpf_core_patch_insn). Throws `ObjectError` `relocation`. */
export function patchInstruction(insn: Instruction, decision: Decision): Patched {
  const { target, local, place } = decision;
  const fail = (message: string) => new ObjectError("relocation", `${place}: ${message}`);
  if (target === null) return { instructions: poisoned(insn) };
  const check = (held: bigint) => {
    if (local.certain && held !== BigInt.asUintN(64, local.value)) {
      throw fail(`the instruction holds ${BigInt.asIntN(64, held)} where the object's types say ${local.value}`);
    }
  };
  const insnKind = insn.opcode & 7;
  if (insnKind === insnClass.alu || insnKind === insnClass.alu64) {
    if ((insn.opcode & 8) !== 0) throw fail("the instruction has no immediate");
    check(BigInt.asUintN(64, BigInt(insn.imm)));
    return { instructions: [{ ...insn, imm: Number(BigInt.asIntN(32, target.value)) }] };
  }
  if (insn.opcode === LDDW) {
    if (insn.src !== 0 || insn.offset !== 0) throw fail("the lddw holds something else");
    check(BigInt(insn.imm >>> 0) | (BigInt((insn.immHigh ?? 0) >>> 0) << 32n));
    const imm = Number(BigInt.asIntN(32, target.value));
    return { instructions: [{ ...insn, imm, immHigh: Number(BigInt.asIntN(32, target.value >> 32n)) }] };
  }
  if (insnKind !== insnClass.ldx && insnKind !== insnClass.st && insnKind !== insnClass.stx) {
    throw fail(`opcode 0x${insn.opcode.toString(16)} cannot be relocated`);
  }
  check(BigInt.asUintN(64, BigInt(insn.offset)));
  if (target.value > 0x7fffn) throw fail(`offset ${target.value} does not fit into the instruction`);
  if (target.size === local.size) return { instructions: [{ ...insn, offset: Number(target.value) }] };
  if (!canResize(local, target)) {
    const problem = `the field has ${target.size} bytes in the kernel and ${local.size} in the object, and is neither pointer nor unsigned`;
    return { instructions: poisoned(insn), problem };
  }
  return {
    instructions: [{ ...insn, offset: Number(target.value), opcode: resized(insn.opcode, { local, target, fail }) }],
  };
}

function poisoned(insn: Instruction): Instruction[] {
  const poison: Instruction = { opcode: CALL, dst: 0, src: 0, offset: 0, imm: POISON };
  return insn.opcode === LDDW ? [poison, poison] : [poison];
}

/** Reading fewer or more bytes keeps the value only where the upper ones are zero. */
function canResize(local: SideValue, target: SideValue): boolean {
  if (local.type?.kind === "ptr" && target.type?.kind === "ptr") return true;
  if (local.type?.kind !== "int" || target.type?.kind !== "int") return false;
  return local.type.encoding !== "signed" && target.type.encoding !== "signed";
}

function resized(
  opcode: number,
  input: { local: SideValue; target: SideValue; fail: (message: string) => ObjectError },
): number {
  const { local, target, fail } = input;
  const names = Object.keys(sizeBits) as (keyof typeof sizeBits)[];
  const now = names.find((name) => sizeBits[name] === (opcode & SIZE_MASK));
  if (now === undefined || sizeBytes[now] !== local.size) {
    throw fail(
      `the instruction accesses ${now === undefined ? "no" : sizeBytes[now]} bytes where the object's types say ${local.size}`,
    );
  }
  const wanted = names.find((name) => sizeBytes[name] === target.size);
  if (wanted === undefined) throw fail(`there is no access of ${target.size} bytes`);
  return (opcode & ~SIZE_MASK) | sizeBits[wanted];
}
