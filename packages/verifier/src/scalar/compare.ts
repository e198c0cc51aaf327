/**
 * @module
 * Comparisons: whether a branch is taken, and what either side knows afterwards (is_scalar_branch_taken and regs_refine_cond_op,
 * kernel/bpf/verifier.c).
 */
import { jmpBits } from "@skep/isa";
import type { Reg } from "../register.ts";
import { S64_MAX, U64_MAX, forgetRange } from "../register.ts";
import { sync } from "./bounds.ts";
import * as bits from "./tnum.ts";

/** What holds where the branch is not taken, in the terms of `refine`. */
const NOT_SET = 0x100;

const reversed: Readonly<Record<number, number>> = {
  [jmpBits.jeq]: jmpBits.jne,
  [jmpBits.jne]: jmpBits.jeq,
  [jmpBits.jset]: NOT_SET,
  [jmpBits.jgt]: jmpBits.jle,
  [jmpBits.jge]: jmpBits.jlt,
  [jmpBits.jlt]: jmpBits.jge,
  [jmpBits.jle]: jmpBits.jgt,
  [jmpBits.jsgt]: jmpBits.jsle,
  [jmpBits.jsge]: jmpBits.jslt,
  [jmpBits.jslt]: jmpBits.jsge,
  [jmpBits.jsle]: jmpBits.jsgt,
};

/** The comparison that holds where `op` does not. */
export function reverse(op: number): number {
  return reversed[op] ?? op;
}

const flipped: Readonly<Record<number, number>> = {
  [jmpBits.jgt]: jmpBits.jlt,
  [jmpBits.jge]: jmpBits.jle,
  [jmpBits.jlt]: jmpBits.jgt,
  [jmpBits.jle]: jmpBits.jge,
  [jmpBits.jsgt]: jmpBits.jslt,
  [jmpBits.jsge]: jmpBits.jsle,
  [jmpBits.jslt]: jmpBits.jsgt,
  [jmpBits.jsle]: jmpBits.jsge,
};

/** The same comparison with its sides exchanged. */
export function flip(op: number): number {
  return flipped[op] ?? op;
}

export type Taken = "always" | "never" | "unknown";

function decided(yes: boolean, no: boolean): Taken {
  return yes ? "always" : no ? "never" : "unknown";
}

const low = bits.tnum();
const lowOther = bits.tnum();

function lowWord(out: bits.Tnum, from: bits.Tnum): void {
  bits.put(out, from.vl, 0, from.ml, 0);
}

/** Whether `a op b` holds for all values, or for none. */
export function branchTaken(op: number, a: Reg, b: Reg, wide: boolean): Taken {
  return wide ? taken64(op, a, b) : taken32(op, a, b);
}

function equal(a: bits.Tnum, b: bits.Tnum, apart: boolean): Taken {
  if ((a.ml | a.mh | b.ml | b.mh) === 0) return a.vl === b.vl && a.vh === b.vh ? "always" : "never";
  return apart || !bits.overlaps(a, b) ? "never" : "unknown";
}

function inverse(taken: Taken): Taken {
  return taken === "always" ? "never" : taken === "never" ? "always" : "unknown";
}

function anySet(a: bits.Tnum, b: bits.Tnum): Taken {
  if ((b.ml | b.mh) !== 0) return "unknown";
  if (((a.vl & b.vl) | (a.vh & b.vh)) !== 0) return "always";
  return (((a.vl | a.ml) & b.vl) | ((a.vh | a.mh) & b.vh)) === 0 ? "never" : "unknown";
}

// Beyond, bounds stand for their neighbours: the next number is not known.
const isSharp = (value: number): boolean => value > -9007199254740992 && value < 9007199254740992;

/** Order of two words: negative, 0 or positive. */
function order(a: Reg, b: Reg, signed: boolean): number {
  if (a.vh !== b.vh) return signed ? a.vh - b.vh : (a.vh >>> 0) - (b.vh >>> 0);
  return (a.vl >>> 0) - (b.vl >>> 0);
}

/** Two constants: exact, where bounds may be rounded. */
function takenConst(op: number, a: Reg, b: Reg): Taken {
  const signed = op === jmpBits.jsgt || op === jmpBits.jsge || op === jmpBits.jslt || op === jmpBits.jsle;
  const sign = order(a, b, signed);
  switch (op) {
    case jmpBits.jgt:
    case jmpBits.jsgt:
      return sign > 0 ? "always" : "never";
    case jmpBits.jge:
    case jmpBits.jsge:
      return sign >= 0 ? "always" : "never";
    case jmpBits.jlt:
    case jmpBits.jslt:
      return sign < 0 ? "always" : "never";
    default:
      return sign <= 0 ? "always" : "never";
  }
}

const ordered = new Set<number>([
  jmpBits.jgt,
  jmpBits.jge,
  jmpBits.jlt,
  jmpBits.jle,
  jmpBits.jsgt,
  jmpBits.jsge,
  jmpBits.jslt,
  jmpBits.jsle,
]);

function taken64(op: number, a: Reg, b: Reg): Taken {
  if (a.isConst && b.isConst && ordered.has(op)) return takenConst(op, a, b);
  const apart = a.umin > b.umax || a.umax < b.umin || a.smin > b.smax || a.smax < b.smin;
  switch (op) {
    case jmpBits.jeq:
      return equal(a, b, apart);
    case jmpBits.jne:
      return inverse(equal(a, b, apart));
    case jmpBits.jset:
      return a.isConst && !b.isConst ? anySet(b, a) : anySet(a, b);
    case jmpBits.jgt:
      return decided(a.umin > b.umax, a.umax <= b.umin);
    case jmpBits.jle:
      return decided(a.umax <= b.umin, a.umin > b.umax);
    case jmpBits.jlt:
      return decided(a.umax < b.umin, a.umin >= b.umax);
    case jmpBits.jge:
      return decided(a.umin >= b.umax, a.umax < b.umin);
    case jmpBits.jsgt:
      return decided(a.smin > b.smax, a.smax <= b.smin);
    case jmpBits.jsle:
      return decided(a.smax <= b.smin, a.smin > b.smax);
    case jmpBits.jslt:
      return decided(a.smax < b.smin, a.smin >= b.smax);
    case jmpBits.jsge:
      return decided(a.smin >= b.smax, a.smax < b.smin);
    default:
      return "unknown";
  }
}

function taken32(op: number, a: Reg, b: Reg): Taken {
  lowWord(low, a);
  lowWord(lowOther, b);
  const apart = a.umin32 > b.umax32 || a.umax32 < b.umin32 || a.smin32 > b.smax32 || a.smax32 < b.smin32;
  switch (op) {
    case jmpBits.jeq:
      return equal(low, lowOther, apart);
    case jmpBits.jne:
      return inverse(equal(low, lowOther, apart));
    case jmpBits.jset:
      return low.ml === 0 && lowOther.ml !== 0 ? anySet(lowOther, low) : anySet(low, lowOther);
    case jmpBits.jgt:
      return decided(a.umin32 > b.umax32, a.umax32 <= b.umin32);
    case jmpBits.jle:
      return decided(a.umax32 <= b.umin32, a.umin32 > b.umax32);
    case jmpBits.jlt:
      return decided(a.umax32 < b.umin32, a.umin32 >= b.umax32);
    case jmpBits.jge:
      return decided(a.umin32 >= b.umax32, a.umax32 < b.umin32);
    case jmpBits.jsgt:
      return decided(a.smin32 > b.smax32, a.smax32 <= b.smin32);
    case jmpBits.jsle:
      return decided(a.smax32 <= b.smin32, a.smin32 > b.smax32);
    case jmpBits.jslt:
      return decided(a.smax32 < b.smin32, a.smin32 >= b.smax32);
    case jmpBits.jsge:
      return decided(a.smin32 >= b.smax32, a.smax32 < b.smin32);
    default:
      return "unknown";
  }
}

/** Lets both sides know that `a op b` holds. `op` may be what `reverse` gave. Both are changed; they stand in no state. */
export function refine(op: number, a: Reg, b: Reg, wide: boolean): void {
  if (wide) refine64(op, a, b);
  else refine32(op, a, b);
  sync(a);
  sync(b);
}

function refine64(op: number, a: Reg, b: Reg): void {
  switch (op) {
    case jmpBits.jeq:
      equal64(a, b);
      break;
    case jmpBits.jne:
      if (b.isConst) unequal64(a, b);
      else if (a.isConst) unequal64(b, a);
      break;
    case jmpBits.jset:
      if (!b.isConst) someSet(b, a, true);
      else someSet(a, b, true);
      break;
    case NOT_SET:
      if (b.isConst) noneSet(a, b, true);
      else if (a.isConst) noneSet(b, a, true);
      break;
    case jmpBits.jle:
      notNegative(a, b, false);
      a.umax = Math.min(a.umax, b.umax);
      b.umin = Math.max(a.umin, b.umin);
      break;
    case jmpBits.jlt:
      notNegative(a, b, true);
      if (b.umax < U64_MAX) a.umax = Math.min(a.umax, isSharp(b.umax) ? b.umax - 1 : b.umax);
      b.umin = Math.max(isSharp(a.umin) ? a.umin + 1 : a.umin, b.umin);
      break;
    case jmpBits.jsle:
      a.smax = Math.min(a.smax, b.smax);
      b.smin = Math.max(a.smin, b.smin);
      break;
    case jmpBits.jslt:
      if (b.smax < S64_MAX) a.smax = Math.min(a.smax, isSharp(b.smax) ? b.smax - 1 : b.smax);
      b.smin = Math.max(isSharp(a.smin) ? a.smin + 1 : a.smin, b.smin);
      break;
    case jmpBits.jge:
    case jmpBits.jgt:
    case jmpBits.jsge:
    case jmpBits.jsgt:
      refine64(flip(op), b, a);
      break;
    default:
  }
}

/**
 * Of `a <= b` (`less`: `a < b`), unsigned, with a constant, whose bound is rounded: the words of all of a's negative numbers are greater than
 * the constant, or the constant has no sign (__reg64_deduce_bounds, exactly).
 */
function notNegative(a: Reg, b: Reg, less: boolean): void {
  if (!b.isConst || a.smin >= 0 || a.smax < 0) return;
  const constant = b.vh * 4294967296 + (b.vl >>> 0);
  // Rounded, it can only be equal where it is not below; with a low half of zero it is exact.
  const isBelow = b.vh >= 0 || constant < a.smin || (less && b.vl === 0 && constant === a.smin);
  if (isBelow) a.smin = 0;
}

function equal64(a: Reg, b: Reg): void {
  a.umin = b.umin = Math.max(a.umin, b.umin);
  a.umax = b.umax = Math.min(a.umax, b.umax);
  a.smin = b.smin = Math.max(a.smin, b.smin);
  a.smax = b.smax = Math.min(a.smax, b.smax);
  bits.intersect(a, a, b);
  bits.put(b, a.vl, a.vh, a.ml, a.mh);
}

/** Ends of the range that the value cannot have. */
function unequal64(a: Reg, b: Reg): void {
  if (!isSharp(b.smin)) return;
  if (a.umin === b.umin && isSharp(b.umin)) a.umin++;
  if (a.umax === b.umin && isSharp(b.umin)) a.umax--;
  if (a.smin === b.smin) a.smin++;
  if (a.smax === b.smin) a.smax--;
}

/** Of a single bit it is known which one is set. */
function someSet(a: Reg, b: Reg, wide: boolean): void {
  if (!(wide ? b.isConst : b.ml === 0)) return;
  const isLow = b.vl !== 0 && (b.vl & (b.vl - 1)) === 0 && (!wide || b.vh === 0);
  const isHigh = wide && b.vl === 0 && b.vh !== 0 && (b.vh & (b.vh - 1)) === 0;
  if (isLow) {
    a.vl |= b.vl;
    a.ml &= ~b.vl;
  } else if (isHigh) {
    a.vh |= b.vh;
    a.mh &= ~b.vh;
  }
}

/** The kernel forgets the ranges first (regs_refine_cond_op, since 6.17), and what it does not know is not to be built upon. */
function noneSet(a: Reg, b: Reg, wide: boolean): void {
  forgetRange(a);
  a.vl &= ~b.vl;
  a.ml &= ~b.vl;
  if (!wide) return;
  a.vh &= ~b.vh;
  a.mh &= ~b.vh;
}

function refine32(op: number, a: Reg, b: Reg): void {
  switch (op) {
    case jmpBits.jeq:
      equal32(a, b);
      break;
    case jmpBits.jne:
      if (b.ml === 0) unequal32(a, b);
      else if (a.ml === 0) unequal32(b, a);
      break;
    case jmpBits.jset:
      if (b.ml !== 0) someSet(b, a, false);
      else someSet(a, b, false);
      break;
    case NOT_SET:
      if (b.ml === 0) noneSet(a, b, false);
      else if (a.ml === 0) noneSet(b, a, false);
      break;
    case jmpBits.jle:
      a.umax32 = Math.min(a.umax32, b.umax32);
      b.umin32 = Math.max(a.umin32, b.umin32);
      break;
    case jmpBits.jlt:
      a.umax32 = Math.min(a.umax32, b.umax32 - 1);
      b.umin32 = Math.max(a.umin32 + 1, b.umin32);
      break;
    case jmpBits.jsle:
      a.smax32 = Math.min(a.smax32, b.smax32);
      b.smin32 = Math.max(a.smin32, b.smin32);
      break;
    case jmpBits.jslt:
      a.smax32 = Math.min(a.smax32, b.smax32 - 1);
      b.smin32 = Math.max(a.smin32 + 1, b.smin32);
      break;
    case jmpBits.jge:
    case jmpBits.jgt:
    case jmpBits.jsge:
    case jmpBits.jsgt:
      refine32(flip(op), b, a);
      break;
    default:
  }
}

function equal32(a: Reg, b: Reg): void {
  a.umin32 = b.umin32 = Math.max(a.umin32, b.umin32);
  a.umax32 = b.umax32 = Math.min(a.umax32, b.umax32);
  a.smin32 = b.smin32 = Math.max(a.smin32, b.smin32);
  a.smax32 = b.smax32 = Math.min(a.smax32, b.smax32);
  const ml = a.ml & b.ml;
  const vl = (a.vl | b.vl) & ~ml;
  a.vl = b.vl = vl;
  a.ml = b.ml = ml;
}

function unequal32(a: Reg, b: Reg): void {
  const unsigned = b.vl >>> 0;
  if (a.umin32 === unsigned) a.umin32++;
  if (a.umax32 === unsigned) a.umax32--;
  if (a.smin32 === b.vl) a.smin32++;
  if (a.smax32 === b.vl) a.smax32--;
}
