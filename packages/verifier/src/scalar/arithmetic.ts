/**
 * @module
 * Arithmetic of two scalars (adjust_scalar_min_max_vals, kernel/bpf/verifier.c). `dst` is changed; it stands in no state.
 */
import { aluBits } from "@skep/isa";
import type { Reg } from "../register.ts";
import {
  S32_MAX,
  S32_MIN,
  S64_MAX,
  S64_MIN,
  U32_MAX,
  U64_MAX,
  constantWords,
  setKnown,
  setUnbounded,
} from "../register.ts";
import { sync, unbound32, unbound64, zeroExtend } from "./bounds.ts";
import * as bits from "./tnum.ts";

const EXACT = 9007199254740992;

/** Sums beyond what numbers hold exactly go outward. */
function down(value: number): number {
  return value > -EXACT && value < EXACT ? value : value - 4096;
}

function up(value: number): number {
  return value > -EXACT && value < EXACT ? value : value + 4096;
}

/** What a shift by a count that is not known, a division or the like leave: nothing. */
function isTracked(op: number, src: Reg, wide: boolean): boolean {
  switch (op) {
    case aluBits.add:
    case aluBits.sub:
    case aluBits.mul:
    case aluBits.and:
    case aluBits.or:
    case aluBits.xor:
      return true;
    case aluBits.lsh:
    case aluBits.rsh:
    case aluBits.arsh:
      return src.isConst && src.vh === 0 && src.vl >= 0 && src.vl < (wide ? 64 : 32);
    default:
      return false;
  }
}

/** `dst op= src` in 64 or 32 bits, into `dst`. `op`: the operation's bits of the opcode. */
export function arithmetic(op: number, dst: Reg, src: Reg, wide: boolean): void {
  if (!isTracked(op, src, wide)) {
    if (op === aluBits.neg) negate(dst, wide);
    // In either width: the kernel does not even keep that the upper word is zero.
    else forget(dst, true);
    return;
  }
  switch (op) {
    case aluBits.add:
      addBounds(dst, src);
      bits.add(dst, dst, src);
      break;
    case aluBits.sub:
      subBounds(dst, src);
      bits.sub(dst, dst, src);
      break;
    case aluBits.mul:
      mulBounds(dst, src);
      bits.mul(dst, dst, src);
      break;
    case aluBits.and:
      bits.and(dst, dst, src);
      andBounds(dst, src);
      break;
    case aluBits.or:
      bits.or(dst, dst, src);
      orBounds(dst, src);
      break;
    case aluBits.xor:
      xorBounds(dst, src);
      break;
    case aluBits.lsh:
      shiftLeft(dst, src.vl, wide);
      break;
    case aluBits.rsh:
      shiftRight(dst, src.vl, wide);
      break;
    default:
      shiftRightSigned(dst, src.vl, wide);
  }
  if (!wide) zeroExtend(dst);
  sync(dst);
}

/** An unknown value; of a 32-bit operation below 2^32. */
export function forget(dst: Reg, wide: boolean): void {
  setUnbounded(dst);
  if (wide) return;
  zeroExtend(dst);
  sync(dst);
}

function negate(dst: Reg, wide: boolean): void {
  const zero = constantWords(0, 0);
  const value = dst.clone();
  setKnown(dst, 0, 0);
  subBounds(dst, value);
  bits.sub(dst, zero, value);
  if (!wide) zeroExtend(dst);
  sync(dst);
}

function addBounds(dst: Reg, src: Reg): void {
  const smin32 = dst.smin32 + src.smin32;
  const smax32 = dst.smax32 + src.smax32;
  if (smin32 < S32_MIN || smax32 > S32_MAX) {
    dst.smin32 = S32_MIN;
    dst.smax32 = S32_MAX;
  } else {
    dst.smin32 = smin32;
    dst.smax32 = smax32;
  }
  const umin32 = dst.umin32 + src.umin32;
  const umax32 = dst.umax32 + src.umax32;
  // Either none overflows or all do.
  if (umin32 <= U32_MAX && umax32 > U32_MAX) {
    dst.umin32 = 0;
    dst.umax32 = U32_MAX;
  } else {
    dst.umin32 = umin32 > U32_MAX ? umin32 - 0x1_0000_0000 : umin32;
    dst.umax32 = umax32 > U32_MAX ? umax32 - 0x1_0000_0000 : umax32;
  }
  const smin = down(dst.smin + src.smin);
  const smax = up(dst.smax + src.smax);
  if (smin < S64_MIN || smax >= S64_MAX) {
    dst.smin = S64_MIN;
    dst.smax = S64_MAX;
  } else {
    dst.smin = smin;
    dst.smax = smax;
  }
  const umin = down(dst.umin + src.umin);
  const umax = up(dst.umax + src.umax);
  if (umax < U64_MAX) {
    dst.umin = umin;
    dst.umax = umax;
  } else if (umin >= U64_MAX + 8192) {
    dst.umin = Math.max(0, umin - U64_MAX - 4096);
    dst.umax = Math.min(U64_MAX, umax - U64_MAX + 4096);
  } else {
    dst.umin = 0;
    dst.umax = U64_MAX;
  }
}

function subBounds(dst: Reg, src: Reg): void {
  const smin32 = dst.smin32 - src.smax32;
  const smax32 = dst.smax32 - src.smin32;
  if (smin32 < S32_MIN || smax32 > S32_MAX) {
    dst.smin32 = S32_MIN;
    dst.smax32 = S32_MAX;
  } else {
    dst.smin32 = smin32;
    dst.smax32 = smax32;
  }
  const umin32 = dst.umin32 - src.umax32;
  const umax32 = dst.umax32 - src.umin32;
  if (umin32 < 0 && umax32 >= 0) {
    dst.umin32 = 0;
    dst.umax32 = U32_MAX;
  } else {
    dst.umin32 = umin32 < 0 ? umin32 + 0x1_0000_0000 : umin32;
    dst.umax32 = umax32 < 0 ? umax32 + 0x1_0000_0000 : umax32;
  }
  const smin = down(dst.smin - src.smax);
  const smax = up(dst.smax - src.smin);
  if (smin < S64_MIN || smax >= S64_MAX) {
    dst.smin = S64_MIN;
    dst.smax = S64_MAX;
  } else {
    dst.smin = smin;
    dst.smax = smax;
  }
  const umin = down(dst.umin - src.umax);
  const umax = up(dst.umax - src.umin);
  if (umin >= 0) {
    dst.umin = umin;
    dst.umax = Math.min(umax, U64_MAX);
  } else if (umax < 0) {
    dst.umin = Math.max(0, umin + U64_MAX - 4096);
    dst.umax = Math.min(U64_MAX, umax + U64_MAX + 4096);
  } else {
    dst.umin = 0;
    dst.umax = U64_MAX;
  }
}

function mulBounds(dst: Reg, src: Reg): void {
  if (dst.umax * src.umax < EXACT) {
    dst.umax *= src.umax;
    dst.umin *= src.umin;
  } else {
    const umax = up(dst.umax * src.umax * (1 + 2 ** -50));
    const umin = Math.floor(dst.umin * src.umin * (1 - 2 ** -50));
    const isWhole = umax >= U64_MAX;
    dst.umin = isWhole ? 0 : umin;
    dst.umax = isWhole ? U64_MAX : Math.ceil(umax);
  }
  const low = Math.min(dst.smin * src.smin, dst.smin * src.smax, dst.smax * src.smin, dst.smax * src.smax);
  const high = Math.max(dst.smin * src.smin, dst.smin * src.smax, dst.smax * src.smin, dst.smax * src.smax);
  if (low > -EXACT && high < EXACT) {
    dst.smin = low;
    dst.smax = high;
  } else {
    unboundSigned(dst);
  }
  mulBounds32(dst, src);
}

function unboundSigned(dst: Reg): void {
  dst.smin = S64_MIN;
  dst.smax = S64_MAX;
}

function mulBounds32(dst: Reg, src: Reg): void {
  const umax32 = dst.umax32 * src.umax32;
  if (umax32 > U32_MAX) {
    dst.umin32 = 0;
    dst.umax32 = U32_MAX;
  } else {
    dst.umin32 *= src.umin32;
    dst.umax32 = umax32;
  }
  const a = dst.smin32 * src.smin32;
  const b = dst.smin32 * src.smax32;
  const c = dst.smax32 * src.smin32;
  const d = dst.smax32 * src.smax32;
  const low = Math.min(a, b, c, d);
  const high = Math.max(a, b, c, d);
  if (low < S32_MIN || high > S32_MAX) {
    dst.smin32 = S32_MIN;
    dst.smax32 = S32_MAX;
  } else {
    dst.smin32 = low === 0 ? 0 : low;
    dst.smax32 = high === 0 ? 0 : high;
  }
  if (dst.smin === 0) dst.smin = 0;
  if (dst.smax === 0) dst.smax = 0;
}

/** Signed bounds where the unsigned ones do not cross the sign. */
function signedFromUnsigned(dst: Reg): void {
  if ((dst.umin32 | 0) <= (dst.umax32 | 0)) {
    dst.smin32 = dst.umin32 | 0;
    dst.smax32 = dst.umax32 | 0;
  } else {
    dst.smin32 = S32_MIN;
    dst.smax32 = S32_MAX;
  }
  unboundSigned(dst);
  if (dst.umax < S64_MAX) {
    dst.smin = dst.umin;
    dst.smax = dst.umax;
  }
}

function andBounds(dst: Reg, src: Reg): void {
  dst.umin32 = dst.vl >>> 0;
  dst.umax32 = Math.min(dst.umax32, src.umax32);
  dst.umin = wordDown(dst.vl, dst.vh);
  dst.umax = Math.min(dst.umax, src.umax);
  signedFromUnsigned(dst);
}

function wordDown(low: number, high: number): number {
  const h = high >>> 0;
  return h * 0x1_0000_0000 + ((h < 0x20_0000 ? low : low & ~0x7ff) >>> 0);
}

function wordUp(low: number, high: number): number {
  const h = high >>> 0;
  if (h < 0x20_0000) return h * 0x1_0000_0000 + (low >>> 0);
  return h * 0x1_0000_0000 + ((low & ~0x7ff) >>> 0) + ((low & 0x7ff) === 0 ? 0 : 2048);
}

function orBounds(dst: Reg, src: Reg): void {
  dst.umin32 = Math.max(dst.umin32, src.umin32);
  dst.umax32 = (dst.vl | dst.ml) >>> 0;
  dst.umin = Math.max(dst.umin, src.umin);
  dst.umax = wordUp(dst.vl | dst.ml, dst.vh | dst.mh);
  signedFromUnsigned(dst);
}

function xorBounds(dst: Reg, src: Reg): void {
  bits.xor(dst, dst, src);
  dst.umin32 = dst.vl >>> 0;
  dst.umax32 = (dst.vl | dst.ml) >>> 0;
  dst.umin = wordDown(dst.vl, dst.vh);
  dst.umax = wordUp(dst.vl | dst.ml, dst.vh | dst.mh);
  signedFromUnsigned(dst);
}

function shiftLeft32(dst: Reg, count: number): void {
  dst.smin32 = S32_MIN;
  dst.smax32 = S32_MAX;
  const factor = 2 ** count;
  if (dst.umax32 * factor > U32_MAX) {
    dst.umin32 = 0;
    dst.umax32 = U32_MAX;
  } else {
    dst.umin32 *= factor;
    dst.umax32 *= factor;
  }
}

function shiftLeft(dst: Reg, count: number, wide: boolean): void {
  const { smin32, smax32 } = dst;
  shiftLeft32(dst, Math.min(count, 31));
  if (count >= 32) unbound32(dst);
  if (!wide) {
    unbound64(dst);
    bits.shiftLeft(dst, dst, count);
    dst.vh = 0;
    dst.mh = 0;
    return;
  }
  unboundSigned(dst);
  // A sign extension of 32 bits is on its way.
  if (count === 32) {
    dst.smin = smin32 * 0x1_0000_0000;
    dst.smax = smax32 * 0x1_0000_0000;
  }
  const factor = 2 ** count;
  if (dst.umax * factor >= U64_MAX) {
    dst.umin = 0;
    dst.umax = U64_MAX;
  } else {
    dst.umin *= factor;
    dst.umax *= factor;
  }
  bits.shiftLeft(dst, dst, count);
}

function shiftRight(dst: Reg, count: number, wide: boolean): void {
  if (!wide) {
    dst.smin32 = S32_MIN;
    dst.smax32 = S32_MAX;
    dst.umin32 >>>= count;
    dst.umax32 >>>= count;
    dst.vl = (dst.vl >>> count) | 0;
    dst.ml = (dst.ml >>> count) | 0;
    unbound64(dst);
    return;
  }
  const factor = 2 ** count;
  unboundSigned(dst);
  dst.umin = Math.floor(dst.umin / factor);
  // 2^64 stands for all ones.
  dst.umax = dst.umax >= U64_MAX && count > 11 ? U64_MAX / factor - 1 : Math.floor(dst.umax / factor);
  bits.shiftRight(dst, dst, count);
  unbound32(dst);
}

function shiftRightSigned(dst: Reg, count: number, wide: boolean): void {
  if (!wide) {
    dst.smin32 >>= count;
    dst.smax32 >>= count;
    bits.shiftRightSigned(dst, dst, count, 32);
    dst.umin32 = 0;
    dst.umax32 = U32_MAX;
    unbound64(dst);
    return;
  }
  const factor = 2 ** count;
  dst.smin = Math.floor(dst.smin / factor);
  dst.smax = dst.smax >= S64_MAX && count > 10 ? S64_MAX / factor - 1 : Math.floor(dst.smax / factor);
  bits.shiftRightSigned(dst, dst, count, 64);
  dst.umin = 0;
  dst.umax = U64_MAX;
  unbound32(dst);
}

/** Sign extension of the low `width` bits (movsx, and loads that extend): 8, 16 or 32 bits to 64, or 8 or 16 to 32. */
export function signExtend(dst: Reg, width: number, wide: boolean): void {
  if (dst.isConst) {
    const low = (dst.vl << (32 - width)) >> (32 - width);
    setKnown(dst, low, wide ? low >> 31 : 0);
    return;
  }
  const range = extendedRange(dst, 2 ** (width - 1));
  setUnbounded(dst);
  dst.smin32 = Math.max(S32_MIN, range.min);
  dst.smax32 = Math.min(S32_MAX, range.max);
  if (wide) {
    dst.smin = range.min;
    dst.smax = range.max;
  } else zeroExtend(dst);
  sync(dst);
}

/** The range is kept where all of it has the same upper bits and sign (coerce_reg_to_size_sx). */
function extendedRange(dst: Reg, half: number): { readonly min: number; readonly max: number } {
  const whole = { min: -half, max: half - 1 };
  if (dst.smin <= -EXACT || dst.smax >= EXACT) return whole;
  const base = Math.floor(dst.smin / (half * 2)) * half * 2;
  if (base !== Math.floor(dst.smax / (half * 2)) * half * 2) return whole;
  const low = dst.smin - base;
  const high = dst.smax - base;
  if (high < half) return { min: low, max: high };
  if (low >= half) return { min: low - half * 2, max: high - half * 2 };
  return whole;
}
