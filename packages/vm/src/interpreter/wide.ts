/**
 * @module
 * Sixty-four bits in two words: what the interpreter does not do in line. Results go to `lo[d]` and `hi[d]`.
 */

export interface Registers {
  readonly lo: Int32Array;
  readonly hi: Int32Array;
}

/** High word of the unsigned product of two words. */
export function multiplyHigh(a: number, b: number): number {
  const a0 = a & 0xffff;
  const a1 = a >>> 16;
  const b0 = b & 0xffff;
  const b1 = b >>> 16;
  const w1 = a1 * b0 + ((a0 * b0) >>> 16);
  const w2 = (w1 & 0xffff) + a0 * b1;
  return (a1 * b1 + (w1 >>> 16) + Math.floor(w2 / 0x10000)) | 0;
}

export function toBigInt(lo: number, hi: number): bigint {
  return (BigInt(hi) << 32n) | BigInt(lo >>> 0);
}

export function setBigInt(registers: Registers, d: number, value: bigint): void {
  registers.lo[d] = Number(BigInt.asIntN(32, value));
  registers.hi[d] = Number(BigInt.asIntN(32, value >> 32n));
}

export type Division = "div" | "mod" | "sdiv" | "smod";

/** RFC 9669 section 4.1: by zero the quotient is 0 and the remainder the dividend; the least number by -1 wraps. */
export function divide64(registers: Registers, d: number, how: { op: Division; lo: number; hi: number }): void {
  const { lo, hi } = registers;
  const signed = how.op === "sdiv" || how.op === "smod";
  const quotient = how.op === "div" || how.op === "sdiv";
  if (how.lo === 0 && how.hi === 0) {
    if (quotient) lo[d] = hi[d] = 0;
    return;
  }
  if (how.hi === 0 && hi[d] === 0) {
    const a = (lo[d] ?? 0) >>> 0;
    const b = how.lo >>> 0;
    lo[d] = quotient ? Math.floor(a / b) : a % b;
    return;
  }
  const wrap = signed ? BigInt.asIntN : BigInt.asUintN;
  const a = wrap(64, toBigInt(lo[d] ?? 0, hi[d] ?? 0));
  const b = wrap(64, toBigInt(how.lo, how.hi));
  setBigInt(registers, d, quotient ? a / b : a % b);
}

export function divide32(op: Division, a: number, b: number): number {
  const quotient = op === "div" || op === "sdiv";
  if (b === 0) return quotient ? 0 : a;
  if (op === "div") return Math.floor((a >>> 0) / (b >>> 0)) | 0;
  if (op === "mod") return ((a >>> 0) % (b >>> 0)) | 0;
  return op === "sdiv" ? (a / b) | 0 : (a % b) | 0;
}

export function swap32(x: number): number {
  return (x << 24) | ((x & 0xff00) << 8) | ((x >>> 8) & 0xff00) | (x >>> 24);
}

export function swap16(x: number): number {
  return ((x & 0xff) << 8) | ((x >>> 8) & 0xff);
}
