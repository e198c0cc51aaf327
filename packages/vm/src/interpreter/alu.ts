/**
 * @module
 * Arithmetic of the interpreter on registers in two words (RFC 9669 section 4).
 */
import { aluBits } from "@skep/isa";
import type { Code } from "../code.ts";
import { Trap } from "../error.ts";
import { divide32, divide64, multiplyHigh, swap16, swap32 } from "./wide.ts";
import type { Division, Registers } from "./wide.ts";

export function alu64(registers: Registers, code: Code, pc: number, opcode: number): void {
  const { lo, hi } = registers;
  const d = code.dst[pc] ?? 0;
  const s = code.src[pc] ?? 0;
  const wide = (opcode & 8) !== 0;
  const b = (wide ? lo[s] : code.imm[pc]) ?? 0;
  const bh = wide ? (hi[s] ?? 0) : b >> 31;
  const a = lo[d] ?? 0;
  const ah = hi[d] ?? 0;
  switch (opcode & 0xf0) {
    case aluBits.add: {
      const sum = (a >>> 0) + (b >>> 0);
      lo[d] = sum | 0;
      hi[d] = (ah + bh + (sum > 0xffff_ffff ? 1 : 0)) | 0;
      return;
    }
    case aluBits.sub:
      lo[d] = (a - b) | 0;
      hi[d] = (ah - bh - (a >>> 0 < b >>> 0 ? 1 : 0)) | 0;
      return;
    case aluBits.mul:
      lo[d] = Math.imul(a, b);
      hi[d] = (multiplyHigh(a, b) + Math.imul(a, bh) + Math.imul(ah, b)) | 0;
      return;
    case aluBits.div:
      divide64(registers, d, { op: division("div", code.offset[pc]), lo: b, hi: bh });
      return;
    case aluBits.mod:
      divide64(registers, d, { op: division("mod", code.offset[pc]), lo: b, hi: bh });
      return;
    case aluBits.or:
      lo[d] = a | b;
      hi[d] = ah | bh;
      return;
    case aluBits.and:
      lo[d] = a & b;
      hi[d] = ah & bh;
      return;
    case aluBits.xor:
      lo[d] = a ^ b;
      hi[d] = ah ^ bh;
      return;
    case aluBits.neg:
      lo[d] = -a | 0;
      hi[d] = a === 0 ? -ah | 0 : ~ah;
      return;
    case aluBits.mov:
      move64(registers, d, { b, bh, bits: wide ? (code.offset[pc] ?? 0) : 0 });
      return;
    case aluBits.end:
      swap(registers, d, code.imm[pc] ?? 0);
      return;
    default:
      shift64(registers, d, b & 63, opcode);
  }
}

function move64(registers: Registers, d: number, from: { b: number; bh: number; bits: number }): void {
  const { lo, hi } = registers;
  if (from.bits === 0) {
    lo[d] = from.b;
    hi[d] = from.bh;
    return;
  }
  if (from.bits === 1) {
    // addr_space_cast: an arena's addresses are the same on both sides.
    lo[d] = from.b;
    hi[d] = 0;
    return;
  }
  if (from.bits !== 8 && from.bits !== 16 && from.bits !== 32) throw new Trap("opcode", `a move of ${from.bits} bits`);
  const value = (from.b << (32 - from.bits)) >> (32 - from.bits);
  lo[d] = value;
  hi[d] = value >> 31;
}

function shift64(registers: Registers, d: number, count: number, opcode: number): void {
  const { lo, hi } = registers;
  const a = lo[d] ?? 0;
  const ah = hi[d] ?? 0;
  const op = opcode & 0xf0;
  if (op !== aluBits.lsh && op !== aluBits.rsh && op !== aluBits.arsh) throw unknownOpcode(opcode);
  if (count === 0) return;
  if (op === aluBits.lsh) {
    hi[d] = count < 32 ? (ah << count) | (a >>> (32 - count)) : a << (count - 32);
    lo[d] = count < 32 ? a << count : 0;
    return;
  }
  const sign = op === aluBits.arsh ? ah >> 31 : 0;
  if (count >= 32) {
    lo[d] = op === aluBits.arsh ? ah >> (count - 32) : ah >>> (count - 32);
    hi[d] = sign;
    return;
  }
  lo[d] = (a >>> count) | (ah << (32 - count));
  hi[d] = op === aluBits.arsh ? ah >> count : ah >>> count;
}

/** `bswap`: always reversed. */
function swap(registers: Registers, d: number, bits: number): void {
  const { lo, hi } = registers;
  const a = lo[d] ?? 0;
  if (bits === 64) {
    lo[d] = swap32(hi[d] ?? 0);
    hi[d] = swap32(a);
    return;
  }
  if (bits !== 16 && bits !== 32) throw new Trap("opcode", `a byte swap of ${bits} bits`);
  lo[d] = bits === 32 ? swap32(a) : swap16(a);
  hi[d] = 0;
}

export function alu32(registers: Registers, code: Code, pc: number, opcode: number): void {
  const { lo, hi } = registers;
  const d = code.dst[pc] ?? 0;
  const a = lo[d] ?? 0;
  const register = (opcode & 8) !== 0;
  const b = (register ? lo[code.src[pc] ?? 0] : code.imm[pc]) ?? 0;
  const offset = code.offset[pc] ?? 0;
  if ((opcode & 0xf0) === aluBits.end) {
    toOrder(registers, d, code.imm[pc] ?? 0, register);
    return;
  }
  hi[d] = 0;
  switch (opcode & 0xf0) {
    case aluBits.add:
      lo[d] = a + b;
      return;
    case aluBits.sub:
      lo[d] = a - b;
      return;
    case aluBits.mul:
      lo[d] = Math.imul(a, b);
      return;
    case aluBits.div:
      lo[d] = divide32(division("div", offset), a, b);
      return;
    case aluBits.mod:
      lo[d] = divide32(division("mod", offset), a, b);
      return;
    case aluBits.or:
      lo[d] = a | b;
      return;
    case aluBits.and:
      lo[d] = a & b;
      return;
    case aluBits.xor:
      lo[d] = a ^ b;
      return;
    case aluBits.lsh:
      lo[d] = a << b;
      return;
    case aluBits.rsh:
      lo[d] = a >>> b;
      return;
    case aluBits.arsh:
      lo[d] = a >> b;
      return;
    case aluBits.neg:
      lo[d] = -a;
      return;
    case aluBits.mov:
      if (register && offset !== 0 && offset !== 8 && offset !== 16)
        throw new Trap("opcode", `a move of ${offset} bits`);
      lo[d] = register && offset !== 0 ? (b << (32 - offset)) >> (32 - offset) : b;
      return;
    default:
      throw unknownOpcode(opcode);
  }
}

/** The machine is little-endian: `le` cuts, `be` reverses. */
function toOrder(registers: Registers, d: number, bits: number, big: boolean): void {
  if (big) {
    swap(registers, d, bits);
    return;
  }
  if (bits === 64) return;
  if (bits !== 16 && bits !== 32) throw new Trap("opcode", `a byte order of ${bits} bits`);
  registers.hi[d] = 0;
  if (bits === 16) registers.lo[d] = (registers.lo[d] ?? 0) & 0xffff;
}

export function unknownOpcode(opcode: number): Trap {
  return new Trap("opcode", `there is no instruction 0x${opcode.toString(16).padStart(2, "0")}`);
}

function division(op: "div" | "mod", offset: number | undefined): Division {
  if (offset === 0 || offset === undefined) return op;
  if (offset !== 1) throw new Trap("opcode", `a division with offset ${offset}`);
  return op === "div" ? "sdiv" : "smod";
}
