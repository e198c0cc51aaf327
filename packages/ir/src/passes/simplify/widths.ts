/**
 * @module
 * Extensions, truncations and byte swaps: removed, narrowed, moved to compile time.
 */
import { widthOf } from "../../edit.ts";
import type { InstOf } from "../../edit.ts";
import { extend, reverseBytes } from "../../evaluate/arithmetic.ts";
import type { Inst } from "../../ir.ts";
import { invertedPart, lowBits } from "./masks.ts";
import type { Rewriter } from "./rewriter.ts";

export function simplifyExt(r: Rewriter, inst: InstOf<"ext">): Inst | null {
  const a = inst.args[0] as Inst;
  const to = widthOf(inst.type);
  const { from, signed } = inst;
  if (a.op === "const") return r.constant(inst.type, extend(a.value, { from, signed, to }));
  const possible = r.bits(a);
  const fits = possible >> BigInt(from) === 0n;
  const positive = possible >> BigInt(from - 1) === 0n;
  if (signed && positive) return r.change(inst, [a], { op: "ext", from, signed: false });
  if (a.type === inst.type && (from === to || (!signed && fits))) return a;
  if (!signed && fits && a.type === "i32" && from < 32) {
    return r.change(inst, [a], { op: "ext", from: 32, signed: false });
  }
  if (!signed && fits && a.type === "i64") return r.change(inst, [a], { op: "trunc" });
  const less = withoutOperand(r, inst, a);
  if (less) return less;
  const inverted = !signed && a.type === inst.type ? invertedPart(r, a, (1n << BigInt(from)) - 1n) : null;
  if (inverted) return r.change(inst, inverted, { op: "binary", binary: "xor" });
  const low = lowBits(r, a, from);
  return low ? r.change(inst, [low], { op: "ext", from, signed }) : null;
}

/** The extension of what its operand was made of. */
function withoutOperand(r: Rewriter, inst: InstOf<"ext">, a: Inst): Inst | null {
  if (r.mayBeChecked(a)) return null;
  const { from, signed } = inst;
  // Of a value that was extended from no fewer bits only its source counts.
  if (a.op === "ext" && a.from >= from) return r.change(inst, [a.args[0] as Inst], { op: "ext", from, signed });
  if (a.op === "trunc") return r.change(inst, [a.args[0] as Inst], { op: "ext", from, signed });
  if (a.op === "ext" && signed && a.signed && a.from < from) {
    return r.change(inst, [a.args[0] as Inst], { op: "ext", from: a.from, signed: true });
  }
  if (a.op === "ext" && !a.signed && a.from < from) {
    return r.change(inst, [a.args[0] as Inst], { op: "ext", from: a.from, signed: false });
  }
  return null;
}

export function simplifyTrunc(r: Rewriter, inst: InstOf<"trunc">): Inst | null {
  const a = inst.args[0] as Inst;
  if (a.op === "const") return r.constant("i32", a.value);
  if (a.op === "ext") {
    const source = a.args[0] as Inst;
    if (a.from === 32 && source.type === "i32") return source;
    if (r.mayBeChecked(a)) return null;
    if (a.from === 32) return r.change(inst, [source], { op: "trunc" });
    return r.change(inst, [source], { op: "ext", from: a.from, signed: a.signed });
  }
  if (!r.isOnlyUse(a)) return null;
  if (a.op === "load" && !a.volatile && a.core === undefined) return narrowLoad(r, inst, a);
  if (a.op === "binary") return narrowBinary(r, inst, a);
  if (a.op === "neg" && narrow(r, a.args[0] as Inst)) {
    return r.change(inst, [narrow(r, a.args[0] as Inst) as Inst], { op: "neg" });
  }
  if ((a.op === "hton" || a.op === "bswap") && a.bits < 64 && narrow(r, a.args[0] as Inst)) {
    return r.change(inst, [narrow(r, a.args[0] as Inst) as Inst], { op: a.op, bits: a.bits });
  }
  return null;
}

/** Of a load only the half that is wanted. */
function narrowLoad(r: Rewriter, inst: Inst, load: InstOf<"load">): Inst | null {
  if (load.space === "ctx" || load.space === "kernel") return null;
  // The new load stands where the old one was only if nothing is between: they are in one place when it came just before.
  if (r.out.at(-1) !== load) return null;
  const size = Math.min(load.size, 4) as 1 | 2 | 4;
  const offset = load.offset + (r.options.byteOrder === "big" && load.size === 8 ? 4 : 0);
  const align = Math.min(load.align, 4);
  const body = { op: "load", size, signed: load.signed, offset, space: load.space, align } as const;
  return r.change(inst, [load.args[0] as Inst], body);
}

/** The value as i32 at no cost, or null. */
function narrow(r: Rewriter, value: Inst): Inst | null {
  if (value.op === "const") return r.constant("i32", value.value);
  if (value.op === "ext" && value.from === 32 && value.args[0]?.type === "i32") return value.args[0];
  return null;
}

function narrowBinary(r: Rewriter, inst: Inst, a: InstOf<"binary">): Inst | null {
  const [x, y] = a.args as [Inst, Inst];
  const lowBitsOnly = ["add", "sub", "mul", "and", "or", "xor"].includes(a.binary);
  const smallShift = a.binary === "shl" && y.op === "const" && y.value < 32n;
  if (!lowBitsOnly && !smallShift) return null;
  const [left, right] = [narrow(r, x), narrow(r, y)];
  if (left === null && right === null) return null;
  if (left === null || right === null) {
    // One truncation moves to the operand, where it may vanish.
    if (y.op === "const" && left === null) {
      const moved = r.make("i32", [x], { op: "trunc" });
      return r.change(inst, [moved, right as Inst], { op: "binary", binary: a.binary });
    }
    return null;
  }
  return r.change(inst, [left, right], { op: "binary", binary: a.binary });
}

export function simplifySwap(r: Rewriter, inst: InstOf<"bswap"> | InstOf<"hton">): Inst | null {
  const a = inst.args[0] as Inst;
  const swaps = inst.op === "bswap" || r.options.byteOrder === "little";
  const { bits } = inst;
  if (a.op === "const") {
    return r.constant(inst.type, swaps ? reverseBytes(a.value, bits) : BigInt.asUintN(bits, a.value));
  }
  if (!swaps) {
    if (bits === widthOf(inst.type)) return a;
    return r.change(inst, [a], { op: "ext", from: bits as 16 | 32, signed: false });
  }
  if (a.op === inst.op && a.bits === bits) {
    const source = a.args[0] as Inst;
    if (bits === widthOf(inst.type) || r.bits(source) >> BigInt(bits) === 0n) return source;
    return r.change(inst, [source], { op: "ext", from: bits as 16 | 32, signed: false });
  }
  // Only the low bits are read.
  if (a.op === "ext" && a.from >= bits && (a.args[0] as Inst).type === inst.type) {
    return r.change(inst, [a.args[0] as Inst], { op: inst.op, bits });
  }
  const less = bits < widthOf(inst.type) ? lowBits(r, a, bits) : null;
  return less ? r.change(inst, [less], { op: inst.op, bits }) : null;
}
