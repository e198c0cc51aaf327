/**
 * @module
 * Compares and selections: constants, narrower operands, swapped bytes, single bits.
 */
import { widthOf } from "../../edit.ts";
import type { InstOf } from "../../edit.ts";
import { reverseBytes } from "../../evaluate/arithmetic.ts";
import type { Inst, Predicate, ValueType } from "../../ir.ts";
import { evaluatePredicate, INVERSE, SWAPPED } from "../../predicate.ts";
import { byBits } from "./compare-bits.ts";
import { isPowerOfTwo, isSigned, log2 } from "./rewriter.ts";
import type { Rewriter } from "./rewriter.ts";

export function simplifyCmp(r: Rewriter, inst: InstOf<"cmp">): Inst | null {
  const better = compare(r, inst.predicate, inst.args as [Inst, Inst]);
  if (typeof better === "boolean") return r.constant("i32", better ? 1n : 0n);
  if (better) return r.change(inst, [...better.args], { op: "cmp", predicate: better.predicate });
  const [a, b] = inst.args as [Inst, Inst];
  return b.op === "const" ? cmpAsBits(r, inst, a, b.value) : null;
}

/** Compares that are one bit of the operand. */
function cmpAsBits(r: Rewriter, inst: InstOf<"cmp">, a: Inst, c: bigint): Inst | null {
  const bits = widthOf(a.type);
  const toI32 = (value: Inst): Inst => (value.type === "i32" ? value : r.make("i32", [value], { op: "trunc" }));
  if (inst.predicate === "slt" && c === 0n && a.type !== "ptr") return toI32(r.binary("lshr", a, BigInt(bits - 1)));
  if (inst.predicate === "ne" && c === 0n && a.type !== "ptr") {
    const possible = r.bits(a);
    if (possible === 1n) return toI32(a);
    if (isPowerOfTwo(possible)) return toI32(r.binary("lshr", a, log2(possible)));
  }
  if (inst.predicate === "set" && isPowerOfTwo(c)) {
    return toI32(r.binary("and", r.binary("lshr", a, log2(c)), 1n));
  }
  if (inst.predicate === "eq" && c === 0n && a.type !== "ptr" && r.bits(a) === 1n) {
    return toI32(r.binary("xor", a, 1n));
  }
  return null;
}

/** The opposite of a boolean, if it costs nothing. */
export function inverted(r: Rewriter, a: Inst): Inst | null {
  if (a.op !== "cmp" || !r.isOnlyUse(a)) return null;
  const inverse = INVERSE[a.predicate];
  return inverse ? r.make("i32", [...a.args], { op: "cmp", predicate: inverse }) : null;
}

/** A simpler form of a compare, its outcome, or null. */
export function compare(
  r: Rewriter,
  predicate: Predicate,
  args: [Inst, Inst],
): { predicate: Predicate; args: [Inst, Inst] } | boolean | null {
  const [a, b] = args;
  const bits = widthOf(a.type);
  if (a.op === "const" && b.op === "const") return evaluatePredicate(predicate, [a.value, b.value], bits);
  if (a === b && predicate !== "set") return evaluatePredicate(predicate, [0n, 0n], bits);
  if (a.op === "const") return { predicate: SWAPPED[predicate], args: [b, a] };
  const swapped = unswap(r, predicate, a, b);
  if (swapped) return swapped;
  if (b.op !== "const") return compareDifference(r, predicate, a, b);
  return compareConstant(r, predicate, a, b);
}

function compareDifference(
  r: Rewriter,
  predicate: Predicate,
  a: Inst,
  b: Inst,
): { predicate: Predicate; args: [Inst, Inst] } | null {
  const widened = a.op === "ext" && b.op === "ext" && a.from === b.from && !a.signed && !b.signed && a.from === 32;
  if (widened && a.args[0]?.type === "i32" && b.args[0]?.type === "i32" && !isSigned(predicate)) {
    return { predicate, args: [a.args[0], b.args[0]] };
  }
  return null;
}

/** Equality of swapped bytes is equality before the swap: the constant is swapped at compile time. */
function unswap(
  r: Rewriter,
  predicate: Predicate,
  a: Inst,
  b: Inst,
): { predicate: Predicate; args: [Inst, Inst] } | boolean | null {
  if (predicate !== "eq" && predicate !== "ne") return null;
  const bits = swappedBits(r, a);
  if (bits === null || !r.isOnlyTested(a)) return null;
  const low = (value: Inst): Inst => {
    if (r.bits(value) >> BigInt(bits) === 0n || bits === widthOf(value.type)) return value;
    return r.make(value.type as ValueType, [value], { op: "ext", from: bits as 16 | 32, signed: false });
  };
  if (b.op === "const") {
    if (b.value >> BigInt(bits) !== 0n) return predicate === "ne";
    return { predicate, args: [low(a.args[0] as Inst), r.constant(a.type, reverseBytes(b.value, bits))] };
  }
  if (swappedBits(r, b) !== bits || b.args[0]?.type !== a.args[0]?.type) return null;
  return { predicate, args: [low(a.args[0] as Inst), low(b.args[0] as Inst)] };
}

function swappedBits(r: Rewriter, inst: Inst): 16 | 32 | 64 | null {
  if (inst.op === "bswap") return inst.bits;
  return inst.op === "hton" && r.options.byteOrder === "little" ? inst.bits : null;
}

function compareConstant(
  r: Rewriter,
  predicate: Predicate,
  a: Inst,
  b: InstOf<"const">,
): { predicate: Predicate; args: [Inst, Inst] } | boolean | null {
  const bits = widthOf(a.type);
  const c = b.value;
  const all = (1n << BigInt(bits)) - 1n;
  const zero = (to: Predicate): { predicate: Predicate; args: [Inst, Inst] } => ({
    predicate: to,
    args: [a, r.constant(a.type, 0n)],
  });
  switch (predicate) {
    case "ult":
      if (c === 0n) return false;
      if (c === 1n) return zero("eq");
      break;
    case "uge":
      if (c === 0n) return true;
      if (c === 1n) return zero("ne");
      break;
    case "ugt":
      if (c === all) return false;
      if (c === 0n) return zero("ne");
      break;
    case "ule":
      if (c === all) return true;
      if (c === 0n) return zero("eq");
      break;
    case "set":
      if (c === 0n) return false;
      if (c === all) return zero("ne");
      break;
    case "eq":
    case "ne": {
      if (c === 0n && isInPacket(a)) return predicate === "ne";
      const equal = equality(r, predicate, a, c);
      if (equal !== null) return equal;
      break;
    }
    default:
      break;
  }
  return byBits(r, predicate, a, c);
}

function equality(
  r: Rewriter,
  predicate: "eq" | "ne",
  a: Inst,
  c: bigint,
): { predicate: Predicate; args: [Inst, Inst] } | boolean | null {
  const constant = (value: bigint, like: Inst): Inst => r.constant(like.type, value);
  // A boolean against 0 or 1 is the boolean.
  if (a.op === "cmp" && c <= 1n) {
    const wanted = (predicate === "ne") === (c === 0n);
    const to = wanted ? a.predicate : INVERSE[a.predicate];
    return to ? { predicate: to, args: a.args as [Inst, Inst] } : null;
  }
  if (a.op === "ext" && !a.signed && a.from === 32 && a.args[0]?.type === "i32") {
    return c > 0xffff_ffffn ? predicate === "ne" : { predicate, args: [a.args[0], constant(c, a.args[0])] };
  }
  if (a.op === "trunc" && r.bits(a.args[0] as Inst) >> 32n === 0n) {
    return { predicate, args: [a.args[0] as Inst, constant(c, a.args[0] as Inst)] };
  }
  if (c === 0n && a.op === "binary" && (a.binary === "sub" || a.binary === "xor") && r.isOnlyUse(a)) {
    return { predicate, args: [a.args[0] as Inst, a.args[1] as Inst] };
  }
  if (c === 0n && a.op === "ptrsub" && r.isOnlyUse(a)) return null;
  if (a.op === "binary" && a.args[1]?.op === "const" && r.isOnlyUse(a)) {
    const x = a.args[0] as Inst;
    const d = a.args[1].value;
    if (a.binary === "add") return { predicate, args: [x, constant(c - d, x)] };
    if (a.binary === "xor") return { predicate, args: [x, constant(c ^ d, x)] };
    if (a.binary === "and") return maskedSwap(r, predicate, { x, mask: d, c });
  }
  return null;
}

/** A mask on swapped bytes is the swapped mask on the bytes. */
function maskedSwap(
  r: Rewriter,
  predicate: Predicate,
  { x, mask, c }: { x: Inst; mask: bigint; c: bigint },
): { predicate: Predicate; args: [Inst, Inst] } | null {
  const bits = swappedBits(r, x);
  if (bits === null || !r.isOnlyUse(x) || c >> BigInt(bits) !== 0n) return null;
  const source = x.args[0] as Inst;
  const masked = r.binary("and", source, reverseBytes(mask, bits));
  return { predicate, args: [masked, r.constant(x.type, reverseBytes(c, bits))] };
}

export function simplifySelect(r: Rewriter, inst: InstOf<"select">): Inst | null {
  const [condition, a, b] = inst.args as [Inst, Inst, Inst];
  if (condition.op === "const") return condition.value === 0n ? b : a;
  if (a === b) return a;
  if (a.op === "const" && b.op === "const" && r.bits(condition) === 1n) {
    const wide = (value: Inst): Inst =>
      inst.type === "i64" ? r.make("i64", [value], { op: "ext", from: 32, signed: false }) : value;
    if (a.value === 1n && b.value === 0n && inst.type !== "ptr") return wide(condition);
    if (a.value === 0n && b.value === 1n && inst.type !== "ptr") {
      const inverse = inverted(r, condition);
      if (inverse) return wide(inverse);
    }
    // A single bit moved to its place.
    if (b.value === 0n && isPowerOfTwo(a.value) && inst.type !== "ptr" && isBit(r, condition)) {
      return r.binary("shl", wide(condition), log2(a.value));
    }
  }
  return null;
}

/** Whether a boolean is there as a bit rather than made by a branch. */
function isBit(r: Rewriter, condition: Inst): boolean {
  return condition.op !== "cmp" && condition.op !== "phi";
}

/** Behind the start of a packet, whose address is not 0. */
function isInPacket(pointer: Inst): boolean {
  if (pointer.op !== "ptradd") return false;
  let root: Inst = pointer;
  while (root.op === "ptradd") root = root.args[0] as Inst;
  return root.op === "load" && root.type === "ptr" && root.space === "ctx";
}
