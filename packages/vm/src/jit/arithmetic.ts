/**
 * @module
 * Arithmetic (RFC 9669 section 4) in WebAssembly. Registers are locals of 64 bits; what works on 32 wraps and extends, which the engine's
 * compiler removes.
 */
import { aluBits } from "@skep/isa";
import { op, valueType } from "../wasm/opcodes.ts";
import type { Frame } from "./frame.ts";
import { emitTrap } from "./frame.ts";

const plain64: Readonly<Record<number, number>> = {
  [aluBits.add]: op.i64Add,
  [aluBits.sub]: op.i64Sub,
  [aluBits.mul]: op.i64Mul,
  [aluBits.or]: op.i64Or,
  [aluBits.and]: op.i64And,
  [aluBits.xor]: op.i64Xor,
  [aluBits.lsh]: op.i64Shl,
  [aluBits.rsh]: op.i64ShrU,
  [aluBits.arsh]: op.i64ShrS,
};
const plain32: Readonly<Record<number, number>> = {
  [aluBits.add]: op.i32Add,
  [aluBits.sub]: op.i32Sub,
  [aluBits.mul]: op.i32Mul,
  [aluBits.or]: op.i32Or,
  [aluBits.and]: op.i32And,
  [aluBits.xor]: op.i32Xor,
  [aluBits.lsh]: op.i32Shl,
  [aluBits.rsh]: op.i32ShrU,
  [aluBits.arsh]: op.i32ShrS,
};

/** One instruction of an arithmetic class, with its parts. */
interface Insn {
  readonly pc: number;
  readonly opcode: number;
  readonly bits: number;
  readonly d: number;
  readonly s: number;
  readonly imm: number;
  readonly offset: number;
  readonly fromRegister: boolean;
}

export function emitArithmetic(frame: Frame, pc: number, wide: boolean): void {
  const { code, registers, body } = frame;
  const opcode = code.opcode[pc] ?? 0;
  const insn: Insn = {
    pc,
    opcode,
    bits: opcode & 0xf0,
    d: registers[code.dst[pc] ?? 0] ?? 0,
    s: registers[code.src[pc] ?? 0] ?? 0,
    imm: code.imm[pc] ?? 0,
    offset: code.offset[pc] ?? 0,
    fromRegister: (opcode & 8) !== 0,
  };
  if (insn.bits === aluBits.end) {
    emitByteOrder(frame, insn, wide);
    return;
  }
  if (insn.bits === aluBits.mov) {
    emitMove(frame, insn, wide);
    return;
  }
  if (insn.bits === aluBits.div || insn.bits === aluBits.mod) {
    emitDivision(frame, insn, wide);
    return;
  }
  const simple = (wide ? plain64 : plain32)[insn.bits];
  if (insn.bits === aluBits.neg) {
    if (wide) body.i64(0).get(insn.d).op(op.i64Sub);
    else body.i32(0).get(insn.d).op(op.i32WrapI64, op.i32Sub);
  } else if (simple === undefined) {
    unknown(frame, insn);
    return;
  } else {
    operand(frame, insn.d, wide);
    source(frame, insn, wide);
    body.op(simple);
  }
  put(frame, insn.d, wide);
}

function operand(frame: Frame, local: number, wide: boolean): void {
  frame.body.get(local);
  if (!wide) frame.body.op(op.i32WrapI64);
}

function source(frame: Frame, insn: Insn, wide: boolean): void {
  if (insn.fromRegister) operand(frame, insn.s, wide);
  else if (wide) frame.body.i64(insn.imm);
  else frame.body.i32(insn.imm);
}

function put(frame: Frame, local: number, wide: boolean): void {
  if (!wide) frame.body.op(op.i64ExtendI32U);
  frame.body.set(local);
}

function unknown(frame: Frame, insn: Insn): void {
  const message = `there is no instruction 0x${insn.opcode.toString(16).padStart(2, "0")}`;
  emitTrap(frame, { pc: insn.pc, kind: "opcode", message });
}

function emitMove(frame: Frame, insn: Insn, wide: boolean): void {
  const { body } = frame;
  const bits = insn.fromRegister ? insn.offset : 0;
  if (bits === 0) {
    source(frame, insn, wide);
  } else if (bits === 1 && wide) {
    // addr_space_cast: an arena's addresses are the same on both sides.
    body.get(insn.s).op(op.i32WrapI64, op.i64ExtendI32U);
  } else if (bits === 8 || bits === 16 || (bits === 32 && wide)) {
    operand(frame, insn.s, wide);
    if (bits === 32) body.op(op.i64Extend32S);
    else if (wide) body.op(bits === 8 ? op.i64Extend8S : op.i64Extend16S);
    else body.op(bits === 8 ? op.i32Extend8S : op.i32Extend16S);
  } else {
    emitTrap(frame, { pc: insn.pc, kind: "opcode", message: `a move of ${bits} bits` });
    return;
  }
  put(frame, insn.d, wide);
}

/** By zero the quotient is 0 and the remainder the dividend; the least number by -1 wraps. WebAssembly traps at both. */
function emitDivision(frame: Frame, insn: Insn, wide: boolean): void {
  if (insn.offset !== 0 && insn.offset !== 1) {
    emitTrap(frame, { pc: insn.pc, kind: "opcode", message: `a division with offset ${insn.offset}` });
    return;
  }
  const signed = insn.offset === 1;
  const quotient = insn.bits === aluBits.div;
  if (insn.fromRegister) byRegister(frame, insn, { wide, signed, quotient });
  else byConstant(frame, insn, { wide, signed, quotient });
  put(frame, insn.d, wide);
}

interface Division {
  readonly wide: boolean;
  readonly signed: boolean;
  readonly quotient: boolean;
}

function divisionOp({ wide, signed, quotient }: Division): number {
  if (wide) {
    if (quotient) return signed ? op.i64DivS : op.i64DivU;
    return signed ? op.i64RemS : op.i64RemU;
  }
  if (quotient) return signed ? op.i32DivS : op.i32DivU;
  return signed ? op.i32RemS : op.i32RemU;
}

function zero(frame: Frame, wide: boolean): void {
  if (wide) frame.body.i64(0);
  else frame.body.i32(0);
}

function byConstant(frame: Frame, insn: Insn, how: Division): void {
  const { body } = frame;
  if (insn.imm === 0) {
    if (how.quotient) zero(frame, how.wide);
    else operand(frame, insn.d, how.wide);
    return;
  }
  if (insn.imm === -1 && how.signed && how.quotient) {
    zero(frame, how.wide);
    operand(frame, insn.d, how.wide);
    body.op(how.wide ? op.i64Sub : op.i32Sub);
    return;
  }
  operand(frame, insn.d, how.wide);
  source(frame, insn, how.wide);
  body.op(divisionOp(how));
}

function byRegister(frame: Frame, insn: Insn, how: Division): void {
  const { body } = frame;
  const { wide } = how;
  const result = wide ? valueType.i64 : valueType.i32;
  operand(frame, insn.s, wide);
  body.op(wide ? op.i64Eqz : op.i32Eqz).if(result);
  if (how.quotient) zero(frame, wide);
  else operand(frame, insn.d, wide);
  body.else();
  if (how.signed && how.quotient) {
    operand(frame, insn.s, wide);
    if (wide) body.i64(-1).op(op.i64Eq);
    else body.i32(-1).op(op.i32Eq);
    body.if(result);
    zero(frame, wide);
    operand(frame, insn.d, wide);
    body.op(wide ? op.i64Sub : op.i32Sub).else();
  }
  operand(frame, insn.d, wide);
  operand(frame, insn.s, wide);
  body.op(divisionOp(how));
  if (how.signed && how.quotient) body.end();
  body.end();
}

/** `le` cuts, `be` and `bswap` reverse: the machine is little-endian. */
function emitByteOrder(frame: Frame, insn: Insn, wide: boolean): void {
  const { body } = frame;
  const bits = insn.imm;
  if (bits !== 16 && bits !== 32 && bits !== 64) {
    emitTrap(frame, { pc: insn.pc, kind: "opcode", message: `a byte order of ${bits} bits` });
    return;
  }
  const reverse = wide || insn.fromRegister;
  if (!reverse) {
    if (bits === 64) return;
    body.get(insn.d).op(op.i32WrapI64);
    if (bits === 16) body.i32(0xffff).op(op.i32And);
    body.op(op.i64ExtendI32U).set(insn.d);
    return;
  }
  if (bits === 64) swap64(frame, insn.d);
  else {
    const word = frame.scratch("i32");
    body.get(insn.d).op(op.i32WrapI64).set(word);
    if (bits === 32) swap32(frame, word);
    else {
      body.get(word).i32(8).op(op.i32Shl).i32(0xff00).op(op.i32And);
      body.get(word).i32(8).op(op.i32ShrU).i32(0xff).op(op.i32And, op.i32Or);
    }
    body.op(op.i64ExtendI32U);
  }
  body.set(insn.d);
}

/** Leaves the reversed word on the stack. */
function swap32(frame: Frame, word: number): void {
  const { body } = frame;
  body.get(word).i32(8).op(op.i32Rotl).i32(0x00ff_00ff).op(op.i32And);
  body
    .get(word)
    .i32(24)
    .op(op.i32Rotl)
    .i32(0xff00_ff00 | 0)
    .op(op.i32And, op.i32Or);
}

function swap64(frame: Frame, register: number): void {
  const { body } = frame;
  const word = frame.scratch("i32");
  body.get(register).op(op.i32WrapI64).set(word);
  swap32(frame, word);
  body.op(op.i64ExtendI32U).i64(32).op(op.i64Shl);
  body.get(register).i64(32).op(op.i64ShrU, op.i32WrapI64).set(word);
  swap32(frame, word);
  body.op(op.i64ExtendI32U, op.i64Or);
}
