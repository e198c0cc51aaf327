/**
 * @module
 * What the operations of the IR compute, on unsigned bigints of a width.
 */
import type { BinaryOp } from "../ir.ts";

/** `a op b` in `bits` bits. */
export function evaluateBinary(binary: BinaryOp, operands: readonly [bigint, bigint], bits: 32 | 64): bigint {
  const [a, b] = operands;
  const signed = (value: bigint): bigint => BigInt.asIntN(bits, value);
  const wrap = (value: bigint): bigint => BigInt.asUintN(bits, value);
  const count = b & BigInt(bits - 1);
  switch (binary) {
    case "add":
      return wrap(a + b);
    case "sub":
      return wrap(a - b);
    case "mul":
      return wrap(a * b);
    case "udiv":
      return b === 0n ? 0n : a / b;
    case "umod":
      return b === 0n ? a : a % b;
    case "sdiv":
      return b === 0n ? 0n : wrap(signed(a) / signed(b));
    case "smod":
      return b === 0n ? a : wrap(signed(a) % signed(b));
    case "and":
      return a & b;
    case "or":
      return a | b;
    case "xor":
      return a ^ b;
    case "shl":
      return wrap(a << count);
    case "lshr":
      return a >> count;
    case "ashr":
      return wrap(signed(a) >> count);
  }
}

/** The low `bits` bits in reversed byte order. */
export function reverseBytes(value: bigint, bits: number): bigint {
  let result = 0n;
  for (let i = 0; i < bits; i += 8) result = (result << 8n) | ((value >> BigInt(i)) & 0xffn);
  return result;
}

/** The low `from` bits extended to `to`. */
export function extend(value: bigint, how: { from: number; signed: boolean; to: number }): bigint {
  const low = BigInt.asUintN(how.from, value);
  return how.signed ? BigInt.asUintN(how.to, BigInt.asIntN(how.from, low)) : low;
}
