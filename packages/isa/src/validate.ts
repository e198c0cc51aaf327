import type { Diagnostic } from "./diagnostic.ts";
import type { Instruction } from "./instruction.ts";
import { slots } from "./instruction.ts";
import { LDDW, aluBits, atomicImm, insnClass, jmpBits, modeBits, pseudo, pseudoCall, sizeBits } from "./opcode.ts";

/** A field of an instruction that is not what its opcode wants. */
export interface FieldProblem {
  readonly field: "opcode" | "dst" | "src" | "offset" | "imm" | "immHigh";
  readonly message: string;
}

type Field = "dst" | "src" | "offset" | "imm";

function unknown(insn: Instruction): FieldProblem {
  return { field: "opcode", message: `there is no instruction 0x${insn.opcode.toString(16).padStart(2, "0")}` };
}

/** All of the named fields must be zero. */
function zero(insn: Instruction, ...fields: readonly Field[]): FieldProblem | null {
  for (const field of fields) {
    if (insn[field] !== 0) return { field, message: `unused field ${field} is ${insn[field]}, not 0` };
  }
  return null;
}

function oneOf(insn: Instruction, field: Field, values: readonly number[]): FieldProblem | null {
  if (values.includes(insn[field])) return null;
  return { field, message: `${field} is ${insn[field]}, not one of ${values.join(", ")}` };
}

const usesRegister = (insn: Instruction): boolean => (insn.opcode & 0x08) !== 0;

function aluProblem(insn: Instruction, wide: boolean): FieldProblem | null {
  const op = insn.opcode & 0xf0;
  if (op > aluBits.end) return unknown(insn);
  if (op === aluBits.end) {
    if (wide && usesRegister(insn)) return unknown(insn);
    return zero(insn, "src", "offset") ?? oneOf(insn, "imm", [16, 32, 64]);
  }
  if (op === aluBits.neg) return usesRegister(insn) ? unknown(insn) : zero(insn, "src", "offset", "imm");
  if (op === aluBits.mov && usesRegister(insn)) return movProblem(insn, wide);
  const unused = usesRegister(insn) ? "imm" : "src";
  if (op === aluBits.div || op === aluBits.mod) return zero(insn, unused) ?? oneOf(insn, "offset", [0, 1]);
  return zero(insn, unused, "offset");
}

function movProblem(insn: Instruction, wide: boolean): FieldProblem | null {
  if (!wide) return zero(insn, "imm") ?? oneOf(insn, "offset", [0, 8, 16]);
  // Offset 1 is addr_space_cast, between the spaces 0 and 1; -1 (the kernel's own) makes a per-CPU address.
  if (insn.offset === 1) return oneOf(insn, "imm", [1, 1 << 16]);
  return zero(insn, "imm") ?? oneOf(insn, "offset", [0, 8, 16, 32, -1]);
}

function jmpProblem(insn: Instruction, wide: boolean): FieldProblem | null {
  const op = insn.opcode & 0xf0;
  const register = usesRegister(insn);
  if (op > jmpBits.jcond) return unknown(insn);
  if (op === jmpBits.ja) {
    if (!register) return zero(insn, "dst", "src", wide ? "imm" : "offset");
    return wide ? zero(insn, "src", "offset", "imm") : unknown(insn);
  }
  if (op !== jmpBits.call && op !== jmpBits.exit && op !== jmpBits.jcond) return zero(insn, register ? "imm" : "src");
  if (!wide || (register && op !== jmpBits.call)) return unknown(insn);
  if (op === jmpBits.exit) return zero(insn, "dst", "src", "offset", "imm");
  if (op === jmpBits.jcond) return zero(insn, "dst", "src", "imm");
  if (register) return zero(insn, "src", "offset", "imm");
  if (insn.src === pseudoCall.kfunc) return zero(insn, "dst");
  return zero(insn, "dst", "offset") ?? oneOf(insn, "src", Object.values(pseudoCall));
}

const plainAtomics: readonly number[] = [
  ...[atomicImm.add, atomicImm.or, atomicImm.and, atomicImm.xor].flatMap((op) => [op, op | atomicImm.fetch]),
  atomicImm.xchg,
  atomicImm.cmpxchg,
];
const ordered: readonly number[] = [atomicImm.loadAcquire, atomicImm.storeRelease];

function storeProblem(insn: Instruction): FieldProblem | null {
  const mode = insn.opcode & 0xe0;
  if (mode === modeBits.mem) return zero(insn, "imm");
  if (mode !== modeBits.atomic) return unknown(insn);
  const size = insn.opcode & 0x18;
  const narrow = size === sizeBits.u8 || size === sizeBits.u16;
  return oneOf(insn, "imm", narrow ? ordered : [...plainAtomics, ...ordered]);
}

function loadProblem(insn: Instruction): FieldProblem | null {
  if (insn.opcode === LDDW) return wideLoadProblem(insn);
  const mode = insn.opcode & 0xe0;
  if ((insn.opcode & 0x18) === sizeBits.u64) return unknown(insn);
  if (mode === modeBits.abs) return zero(insn, "dst", "src", "offset");
  if (mode === modeBits.ind) return zero(insn, "dst", "offset");
  return unknown(insn);
}

function wideLoadProblem(insn: Instruction): FieldProblem | null {
  const problem = zero(insn, "offset") ?? oneOf(insn, "src", [0, ...Object.values(pseudo)]);
  if (problem !== null) return problem;
  const noHigh: readonly number[] = [pseudo.mapFd, pseudo.mapIdx, pseudo.func];
  if (noHigh.includes(insn.src) && (insn.immHigh ?? 0) !== 0) {
    return { field: "immHigh", message: `unused field immHigh is ${insn.immHigh}, not 0` };
  }
  return null;
}

/**
 * The first field of the instruction that its opcode does not allow: an opcode that does not exist, a register above
 * 10, an unused field that is not zero (the kernel and RFC 9669 refuse all of them). Null for a well-formed
 * instruction. The kernel's own instructions (`nospec`, per-CPU moves), as `xlated` shows them, are well-formed.
 */
export function fieldProblem(insn: Instruction): FieldProblem | null {
  for (const field of ["dst", "src"] as const) {
    if (insn[field] < 0 || insn[field] > 10) return { field, message: `there is no register r${insn[field]}` };
  }
  switch (insn.opcode & 0x07) {
    case insnClass.ld:
      return loadProblem(insn);
    case insnClass.ldx: {
      const mode = insn.opcode & 0xe0;
      const signed = mode === modeBits.memsx && (insn.opcode & 0x18) !== sizeBits.u64;
      return mode === modeBits.mem || signed ? zero(insn, "imm") : unknown(insn);
    }
    case insnClass.st:
      if (insn.opcode === NOSPEC) return zero(insn, "dst", "src", "offset", "imm");
      return (insn.opcode & 0xe0) === modeBits.mem ? zero(insn, "src") : unknown(insn);
    case insnClass.stx:
      return storeProblem(insn);
    case insnClass.alu:
      return aluProblem(insn, false);
    case insnClass.alu64:
      return aluProblem(insn, true);
    case insnClass.jmp:
      return jmpProblem(insn, true);
    default:
      return jmpProblem(insn, false);
  }
}

/** The kernel's speculation barrier; only in translated programs. */
export const NOSPEC = 0xc2;

/**
 * Everything that is wrong with the encoding of a program: fields, and jumps or calls that end outside of it or
 * inside an `lddw`. It says nothing about what the program does.
 */
export function validate(instructions: readonly Instruction[]): Diagnostic[] {
  const diagnostics: Diagnostic[] = [];
  const starts = new Set<number>();
  let slot = 0;
  for (const insn of instructions) {
    starts.add(slot);
    slot += slots(insn);
  }
  slot = 0;
  for (const insn of instructions) {
    const at = slot;
    slot += slots(insn);
    const problem = fieldProblem(insn);
    if (problem !== null) {
      diagnostics.push({ code: "ISA1004", severity: "error", message: `slot ${at}: ${problem.message}` });
      continue;
    }
    const distance = slotDistance(insn);
    if (distance !== null && !starts.has(slot + distance)) {
      const message = `slot ${at}: the target, slot ${slot + distance}, is not the start of an instruction`;
      diagnostics.push({ code: "ISA1005", severity: "error", message });
    }
  }
  return diagnostics;
}

/**
 * Slots from the next instruction to the place that a jump, a local call or a function's address names; null for
 * an instruction that names none.
 */
export function slotDistance(insn: Instruction): number | null {
  const kind = insn.opcode & 0x07;
  if (insn.opcode === LDDW) return insn.src === pseudo.func ? insn.imm - 1 : null;
  if (kind !== insnClass.jmp && kind !== insnClass.jmp32) return null;
  const op = insn.opcode & 0xf0;
  if (op === jmpBits.exit) return null;
  if (op === jmpBits.call) return insn.src === pseudoCall.local && !usesRegister(insn) ? insn.imm : null;
  if (op !== jmpBits.ja) return insn.offset;
  if (usesRegister(insn)) return null;
  return kind === insnClass.jmp ? insn.offset : insn.imm;
}
