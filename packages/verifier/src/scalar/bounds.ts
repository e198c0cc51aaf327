/**
 * @module
 * What bits and bounds in both widths and signs say about each other (reg_bounds_sync, kernel/bpf/verifier.c, 6.18). Bounds of 64 bits
 * are numbers: exact up to 2^53, rounded outward beyond, so that they never say more than the kernel's.
 */
import type { Reg } from "../register.ts";
import {
  S32_MAX,
  S32_MIN,
  S64_MAX,
  S64_MIN,
  U32_MAX,
  U64_MAX,
  ceilSigned,
  ceilUnsigned,
  floorSigned,
  floorUnsigned,
  setKnown,
} from "../register.ts";
import * as bits from "./tnum.ts";

const TWO32 = 0x1_0000_0000;
const EXACT = 9007199254740992;

/** The unsigned word of a signed bound, rounded down. */
function toUnsignedDown(value: number): number {
  if (value >= 0) return value;
  const word = value + U64_MAX;
  return word - U64_MAX > value ? word - 2048 : word;
}

function toUnsignedUp(value: number): number {
  if (value >= 0) return value;
  const word = value + U64_MAX;
  return word - U64_MAX < value ? word + 2048 : word;
}

/** The signed value of an upper bound from 2^63 on. */
function toSigned(word: number): number {
  return word >= U64_MAX ? -1 : word - U64_MAX;
}

/** Bounds from bits (__update_reg_bounds). */
function fromBits(reg: Reg): void {
  const { vl, vh, ml, mh } = reg;
  const low32 = vl >>> 0;
  const high32 = (vl | ml) >>> 0;
  if (low32 > reg.umin32) reg.umin32 = low32;
  if (high32 < reg.umax32) reg.umax32 = high32;
  const smin32 = vl | (ml & S32_MIN);
  const smax32 = vl | (ml & S32_MAX);
  if (smin32 > reg.smin32) reg.smin32 = smin32;
  if (smax32 < reg.smax32) reg.smax32 = smax32;
  const umin = floorUnsigned(vl, vh);
  if (umin > reg.umin) reg.umin = umin;
  const umax = ceilUnsigned(vl | ml, vh | mh);
  if (umax < reg.umax) reg.umax = umax;
  const smin = floorSigned(vl, vh | (mh & S32_MIN));
  if (smin > reg.smin) reg.smin = smin;
  const smax = ceilSigned(vl | ml, vh | (mh & S32_MAX));
  if (smax < reg.smax) reg.smax = smax;
}

function signed32From(reg: Reg, min: number, max: number): void {
  if (min > reg.smin32) reg.smin32 = min;
  if (max < reg.smax32) reg.smax32 = max;
}

function unsigned32From(reg: Reg, min: number, max: number): void {
  if (min > reg.umin32) reg.umin32 = min;
  if (max < reg.umax32) reg.umax32 = max;
}

/** __reg32_deduce_bounds */
function deduce32(reg: Reg): void {
  if (reg.umax < EXACT) {
    const minHigh = Math.floor(reg.umin / TWO32);
    const maxHigh = Math.floor(reg.umax / TWO32);
    const min = reg.umin - minHigh * TWO32;
    const max = reg.umax - maxHigh * TWO32;
    if (minHigh === maxHigh) {
      unsigned32From(reg, min, max);
      if ((min | 0) <= (max | 0)) signed32From(reg, min | 0, max | 0);
    } else if (minHigh + 1 === maxHigh && (min | 0) < 0 && (max | 0) >= 0) signed32From(reg, min | 0, max | 0);
  }
  if (reg.smin > -EXACT && reg.smax < EXACT) {
    const minHigh = Math.floor(reg.smin / TWO32);
    const maxHigh = Math.floor(reg.smax / TWO32);
    const min = reg.smin - minHigh * TWO32;
    const max = reg.smax - maxHigh * TWO32;
    if (minHigh === maxHigh) {
      if (min <= max) unsigned32From(reg, min, max);
      if ((min | 0) <= (max | 0)) signed32From(reg, min | 0, max | 0);
    } else if (minHigh + 1 === maxHigh && (min | 0) < 0 && (max | 0) >= 0) signed32From(reg, min | 0, max | 0);
  }
  if ((reg.umin32 | 0) <= (reg.umax32 | 0)) signed32From(reg, reg.umin32 | 0, reg.umax32 | 0);
  if (reg.smin32 >>> 0 <= reg.smax32 >>> 0) unsigned32From(reg, reg.smin32 >>> 0, reg.smax32 >>> 0);
  else if (reg.umax32 < reg.smin32 >>> 0) {
    // The signed range crosses zero, the unsigned one has only its part from zero on.
    signed32From(reg, reg.umin32 | 0, reg.smax32);
    unsigned32From(reg, reg.umin32, reg.smax32);
  } else if (reg.smax32 >>> 0 < reg.umin32) {
    signed32From(reg, reg.smin32, reg.umax32 | 0);
    unsigned32From(reg, reg.smin32 >>> 0, reg.umax32);
  }
}

/** __reg64_deduce_bounds */
function deduce64(reg: Reg): void {
  // Both ends on one side of the sign.
  if (reg.umax < S64_MAX) {
    if (reg.umin > reg.smin) reg.smin = reg.umin;
    if (reg.umax < reg.smax) reg.smax = reg.umax;
  } else if (reg.umin >= S64_MAX) {
    reg.smin = Math.max(reg.smin, reg.umin - U64_MAX);
    reg.smax = Math.min(reg.smax, toSigned(reg.umax));
  }
  if (reg.smin >= 0) {
    if (reg.smin > reg.umin) reg.umin = reg.smin;
    if (reg.smax < reg.umax) reg.umax = reg.smax;
  } else if (reg.smax < 0) {
    reg.umin = Math.max(reg.umin, toUnsignedDown(reg.smin));
    reg.umax = Math.min(reg.umax, toUnsignedUp(reg.smax));
  } else if (reg.umax < toUnsignedDown(reg.smin)) {
    // The signed range crosses zero, the unsigned one has only its part from zero on.
    reg.smin = Math.max(reg.smin, reg.umin);
    reg.umax = Math.min(reg.umax, reg.smax);
  } else if (reg.smax < reg.umin && reg.umax > S64_MAX) {
    reg.smax = toSigned(reg.umax);
    reg.umin = Math.max(reg.umin, toUnsignedDown(reg.smin));
  }
}

const range = bits.tnum();

/** __reg_deduce_mixed_bounds */
function deduceMixed(reg: Reg): void {
  if (reg.umin < EXACT) {
    const umin = Math.floor(reg.umin / TWO32) * TWO32 + reg.umin32;
    if (umin > reg.umin) reg.umin = umin;
  }
  if (reg.umax < EXACT) {
    const umax = Math.floor(reg.umax / TWO32) * TWO32 + reg.umax32;
    if (umax < reg.umax) reg.umax = umax;
  }
  if (reg.smin > -EXACT && reg.smin < EXACT) {
    const smin = Math.floor(reg.smin / TWO32) * TWO32 + reg.umin32;
    if (smin > reg.smin) reg.smin = smin;
  }
  if (reg.smax > -EXACT && reg.smax < EXACT) {
    const smax = Math.floor(reg.smax / TWO32) * TWO32 + reg.umax32;
    if (smax < reg.smax) reg.smax = smax;
  }
  if (reg.smin32 >= 0 && reg.smin >= S32_MIN && reg.smax <= S32_MAX) {
    reg.smin = reg.smin32;
    reg.smax = reg.smax32;
    reg.umin = reg.smin32;
    reg.umax = reg.smax32;
    bits.setRange(range, reg.smin32, 0, reg.smax32, 0);
    bits.intersect(reg, reg, range);
  }
}

/** Bits from bounds (__reg_bound_offset). */
function toBits(reg: Reg): void {
  if (reg.umin > 0 || reg.umax < U64_MAX) {
    const minHigh = Math.floor(reg.umin / TWO32);
    const isWhole = reg.umax >= U64_MAX;
    // 2^63 stands for its neighbour below where the sign is known.
    const isPositive = reg.umax === S64_MAX && reg.smin >= 0;
    const maxHigh = isWhole ? -1 : isPositive ? S32_MAX : Math.floor(reg.umax / TWO32);
    const maxLow = isWhole || isPositive ? -1 : (reg.umax - maxHigh * TWO32) | 0;
    bits.setRange(range, (reg.umin - minHigh * TWO32) | 0, minHigh | 0, maxLow, maxHigh | 0);
    bits.intersect(reg, reg, range);
  }
  if (reg.umin32 !== 0 || reg.umax32 !== U32_MAX) {
    bits.setRange(range, reg.umin32 | 0, 0, reg.umax32 | 0, 0);
    const vl = reg.vl | range.vl;
    const ml = reg.ml & range.ml;
    reg.vl = vl & ~ml;
    reg.ml = ml;
  }
}

/** Lets everything that is known refine everything else (reg_bounds_sync). */
export function sync(reg: Reg): void {
  if ((reg.ml | reg.mh) === 0) {
    setKnown(reg, reg.vl, reg.vh);
    return;
  }
  fromBits(reg);
  for (let round = 0; round < 3; round++) {
    deduce32(reg);
    deduce64(reg);
    deduceMixed(reg);
  }
  toBits(reg);
  fromBits(reg);
}

/** The upper word becomes zero (zext_32_to_64). */
export function zeroExtend(reg: Reg): void {
  reg.vh = 0;
  reg.mh = 0;
  reg.umin = reg.umin32;
  reg.umax = reg.umax32;
  if (reg.smin32 >= 0) {
    reg.smin = reg.smin32;
    reg.smax = reg.smax32;
  } else {
    reg.smin = 0;
    reg.smax = U32_MAX;
  }
}

export function unbound64(reg: Reg): void {
  reg.umin = 0;
  reg.umax = U64_MAX;
  reg.smin = S64_MIN;
  reg.smax = S64_MAX;
}

export function unbound32(reg: Reg): void {
  reg.umin32 = 0;
  reg.umax32 = U32_MAX;
  reg.smin32 = S32_MIN;
  reg.smax32 = S32_MAX;
}

/** Only the low `size` bytes remain, the rest is zero (coerce_reg_to_size). */
export function truncate(reg: Reg, size: number): void {
  if (size >= 8) return;
  const mask = size === 4 ? -1 : (1 << (size * 8)) - 1;
  reg.vl &= mask;
  reg.ml &= mask;
  reg.vh = 0;
  reg.mh = 0;
  const modulus = 2 ** (size * 8);
  const same = Math.floor(reg.umin / modulus) === Math.floor(reg.umax / modulus) && reg.umax < EXACT;
  if (same) {
    const base = Math.floor(reg.umin / modulus) * modulus;
    reg.umin -= base;
    reg.umax -= base;
  } else {
    reg.umin = 0;
    reg.umax = modulus - 1;
  }
  reg.smin = reg.umin;
  reg.smax = reg.umax;
  // The low word keeps its own bounds where it is whole.
  if (size < 4) {
    reg.umin32 = 0;
    reg.umax32 = U32_MAX;
    reg.smin32 = S32_MIN;
    reg.smax32 = S32_MAX;
  }
  sync(reg);
}

/** Whether any value satisfies everything that is known. */
export function isPossible(reg: Reg): boolean {
  return reg.umin <= reg.umax && reg.smin <= reg.smax && reg.umin32 <= reg.umax32 && reg.smin32 <= reg.smax32;
}
