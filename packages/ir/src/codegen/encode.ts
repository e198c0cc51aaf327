/**
 * @module
 * Machine IR with registers and order to instructions, references, line info and CO-RE relocations.
 */
import type { Diagnostic, Instruction } from "@skep/isa";
import type { CoreRelocation, Reference } from "@skep/object";
import { problem } from "../codes.ts";
import type { Loc } from "../ir.ts";
import { makeInst, NONE } from "./mir.ts";
import type { MBlock, MFunction, MInst, MTerminator } from "./mir.ts";
import * as op from "./opcodes.ts";

export interface Encoded {
  readonly instructions: Instruction[];
  readonly references: Reference[];
  /** Where each instruction comes from. */
  readonly locs: (Loc | undefined)[];
  readonly coreRelocations: CoreRelocation[];
}

export interface EncodeOptions {
  readonly cpu: 1 | 2 | 3 | 4;
  readonly diagnostics: Diagnostic[];
}

const INVERSE: Readonly<Record<number, number>> = {
  [op.JEQ]: op.JNE,
  [op.JNE]: op.JEQ,
  [op.JGT]: op.JLE,
  [op.JLE]: op.JGT,
  [op.JGE]: op.JLT,
  [op.JLT]: op.JGE,
  [op.JSGT]: op.JSLE,
  [op.JSLE]: op.JSGT,
  [op.JSGE]: op.JSLT,
  [op.JSLT]: op.JSGE,
};

/** Less-than compares came with version 2; with operands exchanged they are greater-than ones. */
const EXCHANGED: Readonly<Record<number, number>> = {
  [op.JLT]: op.JGT,
  [op.JLE]: op.JGE,
  [op.JSLT]: op.JSGT,
  [op.JSLE]: op.JSGE,
};

interface Placed {
  readonly inst: MInst;
  /** Where a jump goes. */
  readonly to?: MBlock;
}

/** Encodes the blocks in their order. */
export function encodeFunction(code: MFunction, options: EncodeOptions): Encoded {
  const placed: Placed[] = [];
  const starts = new Map<MBlock, number>();
  for (const [i, block] of code.blocks.entries()) {
    starts.set(block, placed.length);
    for (const inst of block.insts) placed.push({ inst });
    placed.push(...encodeTerminator(block.terminator, code.blocks[i + 1], options.cpu));
  }
  const slotOf: number[] = [];
  let slots = 0;
  for (const { inst } of placed) {
    slotOf.push(slots);
    slots += inst.opcode === op.LDDW ? 2 : 1;
  }
  const instructions: Instruction[] = [];
  const references: Reference[] = [];
  const coreRelocations: CoreRelocation[] = [];
  for (const [at, { inst, to }] of placed.entries()) {
    if (to === undefined) {
      checkOffset(inst, options.diagnostics);
      instructions.push(encodeInst(inst));
    } else {
      const distance = (slotOf[starts.get(to) as number] as number) - (slotOf[at] as number) - 1;
      instructions.push(encodeJump(inst, distance, options));
    }
    if (inst.ref) references.push({ at, ...inst.ref } as Reference);
    if (inst.core) coreRelocations.push({ at, ...inst.core });
  }
  return { instructions, references, locs: placed.map(({ inst }) => inst.loc), coreRelocations };
}

function encodeTerminator(terminator: MTerminator, next: MBlock | undefined, cpu: number): Placed[] {
  const { loc } = terminator;
  const goto = (to: MBlock): Placed => ({ inst: makeInst("mov", op.JMP | op.JA, { loc }), to });
  switch (terminator.kind) {
    case "exit":
      return [{ inst: makeInst("mov", op.JMP | op.EXIT, { loc }) }];
    case "jump":
      return terminator.to === next ? [] : [goto(terminator.to)];
    case "branch": {
      const { yes, no, condition } = terminator;
      const inverse = INVERSE[condition];
      if (yes === next && inverse !== undefined && isAvailable(inverse, terminator, cpu)) {
        return [conditional(terminator, inverse, no, cpu)];
      }
      if (!isAvailable(condition, terminator, cpu)) {
        const jump = conditional(terminator, inverse as number, no, cpu);
        return yes === next ? [jump] : [jump, goto(yes)];
      }
      const jump = conditional(terminator, condition, yes, cpu);
      return no === next ? [jump] : [jump, goto(no)];
    }
  }
}

function isAvailable(condition: number, terminator: { b: number }, cpu: number): boolean {
  return cpu >= 2 || terminator.b !== NONE || EXCHANGED[condition] === undefined;
}

function conditional(
  terminator: Extract<MTerminator, { kind: "branch" }>,
  condition: number,
  to: MBlock,
  cpu: number,
): Placed {
  let { a, b } = terminator;
  let code = condition;
  const exchanged = EXCHANGED[condition];
  if (cpu < 2 && exchanged !== undefined) [a, b, code] = [b, a, exchanged];
  const opcode = (terminator.wide ? op.JMP : op.JMP32) | code | (b === NONE ? 0 : op.X);
  return { inst: makeInst("mov", opcode, { dst: a, a: b, imm: terminator.imm, loc: terminator.loc }), to };
}

function encodeJump(inst: MInst, distance: number, options: EncodeOptions): Instruction {
  const src = Math.max(inst.a, 0);
  const dst = Math.max(inst.dst, 0);
  if (distance >= -0x8000 && distance <= 0x7fff)
    return { opcode: inst.opcode, dst, src, offset: distance, imm: inst.imm };
  if (options.cpu >= 4 && inst.opcode === (op.JMP | op.JA)) {
    return { opcode: op.JMP32 | op.JA, dst: 0, src: 0, offset: 0, imm: distance };
  }
  options.diagnostics.push(
    problem("SKEP2003", `a branch over ${distance} instructions; 32767 are possible`, { loc: inst.loc }),
  );
  return { opcode: inst.opcode, dst, src, offset: 0, imm: inst.imm };
}

function checkOffset(inst: MInst, diagnostics: Diagnostic[]): void {
  if (inst.offset >= -0x8000 && inst.offset <= 0x7fff) return;
  diagnostics.push(problem("SKEP2008", `offset ${inst.offset} does not fit 16 bits`, { loc: inst.loc }));
}

function encodeInst(inst: MInst): Instruction {
  const { opcode, offset, imm } = inst;
  const reg = (r: number): number => Math.max(r, 0);
  switch (inst.kind) {
    case "lddw":
      return { opcode, dst: inst.dst, src: pseudoOf(inst), offset: 0, imm, immHigh: inst.immHigh ?? 0 };
    case "call":
      return { opcode, dst: 0, src: pseudoOf(inst), offset: 0, imm };
    case "store":
    case "atomic":
      return { opcode, dst: inst.a, src: reg(inst.b), offset, imm };
    case "alu":
      return { opcode, dst: reg(inst.dst), src: reg(inst.b), offset, imm };
    default:
      return { opcode, dst: reg(inst.dst), src: reg(inst.a), offset, imm };
  }
}

function pseudoOf(inst: MInst): number {
  const ref = inst.ref;
  if (ref === undefined) return 0;
  switch (ref.kind) {
    case "extern":
      return 0;
    case "ksym":
      return ref.typeId === undefined ? 0 : op.PSEUDO.btfId;
    default:
      return op.PSEUDO[ref.kind];
  }
}
