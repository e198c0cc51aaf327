/**
 * @module
 * Machine IR: eBPF operations on virtual registers, with three operands until registers are assigned
 * (`dst = a op b`; a move appears only where `dst` and `a` end in different registers).
 */
import type { CoreRelocation, Reference } from "@skep/object";
import type { Loc, Space } from "../ir.ts";
import * as op from "./opcodes.ts";

/** 0 to 10: the machine's. From `FIRST_VIRTUAL`: virtual ones. */
export type Reg = number;
export const NONE: Reg = -1;
export const R0: Reg = 0;
export const R10: Reg = 10;
export const FIRST_VIRTUAL: Reg = 11;

type Unplaced<T> = T extends unknown ? Omit<T, "at"> : never;

/** `alu` with `b === NONE` takes `imm`; unary operations too have `b === NONE`. */
export type MKind =
  /** dst = a, or imm: `opcode` is MOV of 32 or 64 bits. */
  | "mov"
  | "alu"
  /** dst = *(a + offset) */
  | "load"
  /** *(a + offset) = b, or imm */
  | "store"
  /** atomic on *(a + offset) with b; `dst`: the old value, tied to `b` (r0 for cmpxchg) */
  | "atomic"
  | "lddw"
  /** dst = address of the slot + offset */
  | "frame"
  | "call"
  /** Spill store and reload of the slot. */
  | "spill"
  | "reload";

export interface MInst {
  kind: MKind;
  opcode: number;
  dst: Reg;
  a: Reg;
  b: Reg;
  offset: number;
  imm: number;
  immHigh?: number | undefined;
  /** Index of a stack object: then `a` is r10 and `offset` counts from the object's start. -1: none. */
  slot: number;
  ref?: Unplaced<Reference> | undefined;
  core?: Unplaced<CoreRelocation> | undefined;
  /** What an access goes to: the verifier takes no instruction whose pointer is the context on one path only (reg_type_mismatch). */
  space?: Space | undefined;
  /** Calls: how many of r1 to r5 are read. */
  count?: number | undefined;
  /** Not to be removed although nothing reads its result. */
  keep?: boolean | undefined;
  loc?: Loc | undefined;
}

export type MTerminator =
  | { kind: "jump"; to: MBlock; loc?: Loc | undefined }
  | {
      kind: "branch";
      /** JEQ and so on, without class. */
      condition: number;
      wide: boolean;
      a: Reg;
      b: Reg;
      imm: number;
      yes: MBlock;
      no: MBlock;
      likely?: boolean | undefined;
      loc?: Loc | undefined;
    }
  | { kind: "exit"; value: boolean; loc?: Loc | undefined };

export interface MBlock {
  readonly id: number;
  insts: MInst[];
  terminator: MTerminator;
  /** How deep in loops. */
  depth: number;
  /** Leads only to an exit that is unusual. */
  cold: boolean;
}

export interface Slot {
  readonly bytes: number;
  readonly spill: boolean;
  /** From r10; known after layout. */
  offset: number;
  weight: number;
}

export interface MFunction {
  readonly name: string;
  blocks: MBlock[];
  /** Registers up to here exist. */
  registers: number;
  slots: Slot[];
}

/** All attributes, set or not, in one order: engines then know one layout of object. */
export function makeInst(kind: MKind, opcode: number, parts: Partial<MInst>): MInst {
  const { dst = NONE, a = NONE, b = NONE, offset = 0, imm = 0, immHigh, slot = -1, loc } = parts;
  const { ref, core, space, count, keep } = parts;
  return { kind, opcode, dst, a, b, offset, imm, immHigh, slot, ref, core, space, count, keep, loc };
}

export function blockSuccessors(block: MBlock): MBlock[] {
  const terminator = block.terminator;
  if (terminator.kind === "jump") return [terminator.to];
  return terminator.kind === "branch" ? [terminator.yes, terminator.no] : [];
}

/** A compare and exchange: its old value is in r0, where what it expects is. */
export function isCompareExchange(inst: MInst): boolean {
  return inst.kind === "atomic" && (inst.imm & ~op.FETCH) === op.ATOMIC.cmpxchg;
}

/** Registers that the instruction reads; r10 is left out. */
export function forEachUse(inst: MInst, visit: (reg: Reg) => void): void {
  if (inst.kind === "call") {
    for (let r = 1; r <= (inst.count ?? 0); r++) visit(r);
    return;
  }
  if (inst.a !== NONE && inst.a !== R10) visit(inst.a);
  if (inst.b !== NONE && inst.b !== R10) visit(inst.b);
  if (isCompareExchange(inst)) visit(R0);
}

export function forEachTerminatorUse(terminator: MTerminator, visit: (reg: Reg) => void): void {
  if (terminator.kind === "branch") {
    if (terminator.a !== R10) visit(terminator.a);
    if (terminator.b !== NONE && terminator.b !== R10) visit(terminator.b);
  } else if (terminator.kind === "exit" && terminator.value) visit(R0);
}

/** The register that the instruction writes, besides what a call clobbers; NONE if none. */
export function definition(inst: MInst): Reg {
  return inst.kind === "call" ? R0 : inst.dst;
}

/** Writes the instruction's registers anew. */
export function mapRegisters(inst: MInst, map: (reg: Reg) => Reg): void {
  if (inst.dst !== NONE) inst.dst = map(inst.dst);
  if (inst.a !== NONE) inst.a = map(inst.a);
  if (inst.b !== NONE) inst.b = map(inst.b);
}
