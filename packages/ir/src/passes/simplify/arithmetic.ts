/**
 * @module
 * Sums, products and shifts with constants: folded, identities, cheaper forms.
 */
import { widthOf } from "../../edit.ts";
import type { InstOf } from "../../edit.ts";
import { evaluateBinary } from "../../evaluate/arithmetic.ts";
import type { BinaryOp, Inst } from "../../ir.ts";
import { and, signBit } from "./masks.ts";
import { reassociate } from "./reassociate.ts";
import { inverted } from "./compare.ts";
import { isPowerOfTwo, log2 } from "./rewriter.ts";
import type { Rewriter } from "./rewriter.ts";

const COMMUTATIVE = new Set<BinaryOp>(["add", "mul", "and", "or", "xor"]);

export function simplifyBinary(r: Rewriter, inst: InstOf<"binary">): Inst | null {
  let [a, b] = inst.args as [Inst, Inst];
  const bits = widthOf(inst.type);
  if (a.op === "const" && b.op === "const") {
    return r.constant(inst.type, evaluateBinary(inst.binary, [a.value, b.value], bits));
  }
  if (a.op === "const" && COMMUTATIVE.has(inst.binary)) {
    [a, b] = [b, a];
    inst.args = [a, b];
    r.changed = true;
  }
  if (a === b) {
    const same = sameOperands(r, inst, a);
    if (same) return same;
  }
  if (b.op === "const") return withConstant(r, inst, a, b.value);
  if (a.op === "const" && a.value === 0n) return zeroLeft(r, inst, b);
  return twoValues(r, inst, a, b);
}

function sameOperands(r: Rewriter, inst: InstOf<"binary">, a: Inst): Inst | null {
  switch (inst.binary) {
    case "sub":
    case "xor":
      return r.constant(inst.type, 0n);
    case "and":
    case "or":
      return a;
    default:
      return null;
  }
}

function zeroLeft(r: Rewriter, inst: InstOf<"binary">, b: Inst): Inst | null {
  if (inst.binary === "sub") return r.change(inst, [b], { op: "neg" });
  return ["shl", "lshr", "ashr", "udiv", "sdiv", "umod", "smod"].includes(inst.binary)
    ? r.constant(inst.type, 0n)
    : null;
}

/** x - y - ... and x + (-y). */
function twoValues(r: Rewriter, inst: InstOf<"binary">, a: Inst, b: Inst): Inst | null {
  if (inst.binary === "add" && b.op === "neg" && !r.mayBeChecked(b)) {
    return r.change(inst, [a, b.args[0] as Inst], { op: "binary", binary: "sub" });
  }
  if (inst.binary === "add" && a.op === "neg" && !r.mayBeChecked(a)) {
    return r.change(inst, [b, a.args[0] as Inst], { op: "binary", binary: "sub" });
  }
  if (inst.binary === "sub" && b.op === "neg" && !r.mayBeChecked(b)) {
    return r.change(inst, [a, b.args[0] as Inst], { op: "binary", binary: "add" });
  }
  // A shift count is taken modulo the width anyway.
  if (["shl", "lshr", "ashr"].includes(inst.binary) && b.op === "binary" && b.binary === "and") {
    const mask = b.args[1] as Inst;
    const all = BigInt(widthOf(inst.type) - 1);
    if (mask.op === "const" && (mask.value & all) === all) {
      return r.change(inst, [a, b.args[0] as Inst], { op: "binary", binary: inst.binary });
    }
  }
  return null;
}

function withConstant(r: Rewriter, inst: InstOf<"binary">, a: Inst, c: bigint): Inst | null {
  const bits = widthOf(inst.type);
  const all = (1n << BigInt(bits)) - 1n;
  const again = (args: Inst[], binary: BinaryOp): Inst => r.change(inst, args, { op: "binary", binary });
  switch (inst.binary) {
    case "add":
    case "xor":
      if (c === 0n) return a;
      if (inst.binary === "xor" && c === 1n) {
        const inverse = inverted(r, a);
        if (inverse) return inverse;
      }
      break;
    case "sub":
      if (c === 0n) return a;
      return again([a, r.constant(inst.type, -c)], "add");
    case "or":
      if (c === 0n) return a;
      if (c === all) return r.constant(inst.type, all);
      {
        // As with `and`: no fork of the verifier's state.
        const bit = signBit(r, a);
        if (bit) return again([r.binary("mul", bit, all ^ c), inst.args[1] as Inst], "add");
      }
      break;
    case "and":
      return and(r, inst, a, c);
    case "mul":
      if (c === 0n) return r.constant(inst.type, 0n);
      if (c === 1n) return a;
      if (c === all) return r.change(inst, [a], { op: "neg" });
      if (isPowerOfTwo(c)) return again([a, r.constant(inst.type, log2(c))], "shl");
      break;
    case "udiv":
      if (c === 0n) return r.constant(inst.type, 0n);
      if (c === 1n) return a;
      if (isPowerOfTwo(c)) return again([a, r.constant(inst.type, log2(c))], "lshr");
      return null;
    case "umod":
      if (c === 0n) return a;
      if (c === 1n) return r.constant(inst.type, 0n);
      if (isPowerOfTwo(c)) return again([a, r.constant(inst.type, c - 1n)], "and");
      return null;
    case "sdiv":
      if (c === 0n) return r.constant(inst.type, 0n);
      if (c === 1n) return a;
      if (c === all) return r.change(inst, [a], { op: "neg" });
      // A dividend that cannot be negative is divided without sign.
      if (isPositive(r, a) && c >> BigInt(bits - 1) === 0n) return again([a, inst.args[1] as Inst], "udiv");
      return null;
    case "smod":
      if (c === 0n) return a;
      if (c === 1n || c === all) return r.constant(inst.type, 0n);
      if (isPositive(r, a) && c >> BigInt(bits - 1) === 0n) return again([a, inst.args[1] as Inst], "umod");
      return null;
    case "shl":
    case "lshr":
    case "ashr":
      return shift(r, inst, a, c);
  }
  return reassociate(r, inst, a, c);
}

function isPositive(r: Rewriter, inst: Inst): boolean {
  return r.bits(inst) >> BigInt(widthOf(inst.type) - 1) === 0n;
}

function shift(r: Rewriter, inst: InstOf<"binary">, a: Inst, given: bigint): Inst | null {
  const bits = BigInt(widthOf(inst.type));
  const count = given & (bits - 1n);
  if (count === 0n) return a;
  const again = (x: Inst, binary: BinaryOp, c: bigint): Inst =>
    r.change(inst, [x, r.constant(inst.type, c)], { op: "binary", binary });
  if (count !== given) return again(a, inst.binary, count);
  if (inst.binary === "ashr" && isPositive(r, a)) return again(a, "lshr", count);
  if (inst.binary === "lshr" && r.bits(a) >> count === 0n) return r.constant(inst.type, 0n);
  if (a.op !== "binary" || a.args[1]?.op !== "const") return null;
  const inner = a.args[1].value;
  const x = a.args[0] as Inst;
  if (a.binary === inst.binary) {
    if (r.mayBeChecked(a)) return null;
    const sum = inner + count;
    if (sum < bits) return again(x, inst.binary, sum);
    return inst.binary === "ashr" ? again(x, "ashr", bits - 1n) : r.constant(inst.type, 0n);
  }
  const all = (1n << bits) - 1n;
  if (inst.binary === "lshr" && a.binary === "shl" && inner === count && r.isOnlyUse(a)) {
    return again(x, "and", all >> count);
  }
  if (inst.binary === "shl" && a.binary === "lshr" && inner === count && r.isOnlyUse(a)) {
    return fitsImmediate(r, (all << count) & all, inst) ? again(x, "and", (all << count) & all) : null;
  }
  return null;
}

export function simplifyNeg(r: Rewriter, inst: InstOf<"neg">): Inst | null {
  const a = inst.args[0] as Inst;
  if (a.op === "const") return r.constant(inst.type, -a.value);
  if (a.op === "neg") return a.args[0] as Inst;
  if (a.op === "binary" && a.binary === "sub" && !r.mayBeChecked(a)) {
    return r.change(inst, [a.args[1] as Inst, a.args[0] as Inst], { op: "binary", binary: "sub" });
  }
  return null;
}

function fitsImmediate(r: Rewriter, value: bigint, inst: Inst): boolean {
  const signed = BigInt.asIntN(64, value);
  return inst.type === "i32" || signed === BigInt.asIntN(32, signed) || value <= 0xffff_ffffn;
}
