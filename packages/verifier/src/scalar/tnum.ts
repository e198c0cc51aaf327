/**
 * @module
 * Tracked numbers (kernel/bpf/tnum.c): a 64-bit value with the bits that are known. `v` holds the known bits that are set, `m` the bits
 * that are not known; each as two words of 32 bits. Operations write into `out`, which may be an operand.
 */

export interface Tnum {
  /** Known bits, low and high word, signed 32-bit integers. */
  vl: number;
  vh: number;
  /** Unknown bits. */
  ml: number;
  mh: number;
}

export function tnum(value = 0, valueHigh = 0, mask = 0, maskHigh = 0): Tnum {
  return { vl: value | 0, vh: valueHigh | 0, ml: mask | 0, mh: maskHigh | 0 };
}

export function put(out: Tnum, vl: number, vh: number, ml: number, mh: number): void {
  out.vl = vl;
  out.vh = vh;
  out.ml = ml;
  out.mh = mh;
}

export function setConst(out: Tnum, low: number, high: number): void {
  put(out, low, high, 0, 0);
}

export function setUnknown(out: Tnum): void {
  put(out, 0, 0, -1, -1);
}

export function isConst(a: Tnum): boolean {
  return (a.ml | a.mh) === 0;
}

const TWO32 = 0x1_0000_0000;

/** Carry of the sum of two low words. */
function carry(a: number, b: number): number {
  return (a >>> 0) + (b >>> 0) >= TWO32 ? 1 : 0;
}

function borrow(a: number, b: number): number {
  return a >>> 0 < b >>> 0 ? 1 : 0;
}

/** tnum_range: the narrowest tracked number that holds everything from the first to the second. */
export function setRange(out: Tnum, minLow: number, minHigh: number, maxLow: number, maxHigh: number): void {
  const xh = minHigh ^ maxHigh;
  if (xh !== 0) {
    const bits = 32 - Math.clz32(xh);
    const mask = bits === 32 ? -1 : (1 << bits) - 1;
    put(out, 0, minHigh & ~mask, -1, mask);
    return;
  }
  const xl = minLow ^ maxLow;
  const bits = 32 - Math.clz32(xl);
  const mask = bits === 32 ? -1 : (1 << bits) - 1;
  put(out, minLow & ~mask, minHigh, mask, 0);
}

export function add(out: Tnum, a: Tnum, b: Tnum): void {
  const sml = (a.ml + b.ml) | 0;
  const smh = (a.mh + b.mh + carry(a.ml, b.ml)) | 0;
  const svl = (a.vl + b.vl) | 0;
  const svh = (a.vh + b.vh + carry(a.vl, b.vl)) | 0;
  const sigmaLow = (sml + svl) | 0;
  const sigmaHigh = (smh + svh + carry(sml, svl)) | 0;
  const ml = (sigmaLow ^ svl) | a.ml | b.ml;
  const mh = (sigmaHigh ^ svh) | a.mh | b.mh;
  put(out, svl & ~ml, svh & ~mh, ml, mh);
}

export function sub(out: Tnum, a: Tnum, b: Tnum): void {
  const dvl = (a.vl - b.vl) | 0;
  const dvh = (a.vh - b.vh - borrow(a.vl, b.vl)) | 0;
  const alphaLow = (dvl + a.ml) | 0;
  const alphaHigh = (dvh + a.mh + carry(dvl, a.ml)) | 0;
  const betaLow = (dvl - b.ml) | 0;
  const betaHigh = (dvh - b.mh - borrow(dvl, b.ml)) | 0;
  const ml = (alphaLow ^ betaLow) | a.ml | b.ml;
  const mh = (alphaHigh ^ betaHigh) | a.mh | b.mh;
  put(out, dvl & ~ml, dvh & ~mh, ml, mh);
}

const ZERO: Tnum = tnum();

export function neg(out: Tnum, a: Tnum): void {
  sub(out, ZERO, a);
}

export function and(out: Tnum, a: Tnum, b: Tnum): void {
  const vl = a.vl & b.vl;
  const vh = a.vh & b.vh;
  const ml = (a.vl | a.ml) & (b.vl | b.ml) & ~vl;
  const mh = (a.vh | a.mh) & (b.vh | b.mh) & ~vh;
  put(out, vl, vh, ml, mh);
}

export function or(out: Tnum, a: Tnum, b: Tnum): void {
  const vl = a.vl | b.vl;
  const vh = a.vh | b.vh;
  put(out, vl, vh, (a.ml | b.ml) & ~vl, (a.mh | b.mh) & ~vh);
}

export function xor(out: Tnum, a: Tnum, b: Tnum): void {
  const ml = a.ml | b.ml;
  const mh = a.mh | b.mh;
  put(out, (a.vl ^ b.vl) & ~ml, (a.vh ^ b.vh) & ~mh, ml, mh);
}

/** `count`: 0 to 63. */
export function shiftLeft(out: Tnum, a: Tnum, count: number): void {
  if (count === 0) put(out, a.vl, a.vh, a.ml, a.mh);
  else if (count >= 32) put(out, 0, a.vl << (count - 32), 0, a.ml << (count - 32));
  else {
    const vh = (a.vh << count) | (a.vl >>> (32 - count));
    const mh = (a.mh << count) | (a.ml >>> (32 - count));
    put(out, a.vl << count, vh, a.ml << count, mh);
  }
}

export function shiftRight(out: Tnum, a: Tnum, count: number): void {
  if (count === 0) put(out, a.vl, a.vh, a.ml, a.mh);
  else if (count >= 32) put(out, (a.vh >>> (count - 32)) | 0, 0, (a.mh >>> (count - 32)) | 0, 0);
  else {
    const vl = (a.vl >>> count) | (a.vh << (32 - count));
    const ml = (a.ml >>> count) | (a.mh << (32 - count));
    put(out, vl, a.vh >>> count, ml, a.mh >>> count);
  }
}

/** `bits`: 32 shifts the low word alone, and leaves 0 in the high one. */
export function shiftRightSigned(out: Tnum, a: Tnum, count: number, bits: 32 | 64): void {
  if (bits === 32) put(out, a.vl >> count, 0, a.ml >> count, 0);
  else if (count === 0) put(out, a.vl, a.vh, a.ml, a.mh);
  else if (count >= 32) put(out, a.vh >> (count - 32), a.vh >> 31, a.mh >> (count - 32), a.mh >> 31);
  else {
    const vl = (a.vl >>> count) | (a.vh << (32 - count));
    const ml = (a.ml >>> count) | (a.mh << (32 - count));
    put(out, vl, a.vh >> count, ml, a.mh >> count);
  }
}

/** The product of two 64-bit words, its low 64 bits, as [low, high] in `product`. */
export const product = { low: 0, high: 0 };
export function multiplyWords(al: number, ah: number, bl: number, bh: number): void {
  const a0 = al & 0xffff;
  const a1 = al >>> 16;
  const b0 = bl & 0xffff;
  const b1 = bl >>> 16;
  const p00 = a0 * b0;
  const p01 = a0 * b1;
  const p10 = a1 * b0;
  const middle = (p00 >>> 16) + (p01 & 0xffff) + (p10 & 0xffff);
  product.low = (middle << 16) | (p00 & 0xffff);
  const top = Math.floor(middle / 0x1_0000) + (p01 >>> 16) + (p10 >>> 16) + a1 * b1;
  product.high = (top + Math.imul(al, bh) + Math.imul(ah, bl)) | 0;
}

const accumulated = tnum();
const shifted = tnum();
const term = tnum();

/** tnum_mul (6.18): long multiplication; a bit that is not known gives the union of both ways. */
export function mul(out: Tnum, a: Tnum, b: Tnum): void {
  if (isConst(a) && isConst(b)) {
    multiplyWords(a.vl, a.vh, b.vl, b.vh);
    setConst(out, product.low, product.high);
    return;
  }
  let { vl, vh, ml, mh } = a;
  put(shifted, b.vl, b.vh, b.ml, b.mh);
  setConst(accumulated, 0, 0);
  while ((vl | vh | ml | mh) !== 0) {
    if ((vl & 1) !== 0) add(accumulated, accumulated, shifted);
    else if ((ml & 1) !== 0) {
      add(term, accumulated, shifted);
      union(accumulated, accumulated, term);
    }
    vl = (vl >>> 1) | (vh << 31);
    vh >>>= 1;
    ml = (ml >>> 1) | (mh << 31);
    mh >>>= 1;
    shiftLeft(shifted, shifted, 1);
  }
  put(out, accumulated.vl, accumulated.vh, accumulated.ml, accumulated.mh);
}

/** What either may be. */
export function union(out: Tnum, a: Tnum, b: Tnum): void {
  const ml = (a.vl ^ b.vl) | a.ml | b.ml;
  const mh = (a.vh ^ b.vh) | a.mh | b.mh;
  put(out, a.vl & b.vl & ~ml, a.vh & b.vh & ~mh, ml, mh);
}

/** Bits that both know, or either; where they contradict each other the second wins, as nothing is reachable there. */
export function intersect(out: Tnum, a: Tnum, b: Tnum): void {
  const vl = a.vl | b.vl;
  const vh = a.vh | b.vh;
  const ml = a.ml & b.ml;
  const mh = a.mh & b.mh;
  put(out, vl & ~ml, vh & ~mh, ml, mh);
}

/** Whether every value of `b` is one of `a`. */
export function contains(a: Tnum, b: Tnum): boolean {
  if ((b.ml & ~a.ml) !== 0 || (b.mh & ~a.mh) !== 0) return false;
  return a.vl === (b.vl & ~a.ml) && a.vh === (b.vh & ~a.mh);
}

/** Whether they can be equal. */
export function overlaps(a: Tnum, b: Tnum): boolean {
  return ((a.vl ^ b.vl) & ~(a.ml | b.ml)) === 0 && ((a.vh ^ b.vh) & ~(a.mh | b.mh)) === 0;
}

export function sameTnum(a: Tnum, b: Tnum): boolean {
  return a.vl === b.vl && a.vh === b.vh && a.ml === b.ml && a.mh === b.mh;
}

/** Whether all values are multiples of `size`, a power of two. */
export function isAligned(a: Tnum, size: number): boolean {
  return ((a.vl | a.ml) & (size - 1)) === 0;
}
