/**
 * @module
 * `and` with a constant, without forks of the verifier's state.
 */
import { widthOf } from "../../edit.ts";
import type { InstOf } from "../../edit.ts";
import type { Inst } from "../../ir.ts";
import { reassociate } from "./reassociate.ts";
import type { Rewriter } from "./rewriter.ts";

export function and(r: Rewriter, inst: InstOf<"binary">, a: Inst, c: bigint): Inst | null {
  if (c === 0n) return r.constant(inst.type, 0n);
  const possible = r.bits(a);
  if ((possible & ~c) === 0n) return a;
  const bit = maskedSign(r, inst, a, c);
  if (bit) return bit;
  // Bits that cannot be set need no mask: a shorter constant, and more of them are equal.
  if (a.op === "binary" && a.binary === "or" && a.args[1]?.op === "const" && !r.mayBeChecked(a)) {
    const rest = a.args[1].value & c;
    if (rest === 0n) return r.change(inst, [a.args[0] as Inst, inst.args[1] as Inst], { op: "binary", binary: "and" });
  }
  const inverted = invertedPart(r, a, c);
  if (inverted) return r.change(inst, inverted, { op: "binary", binary: "xor" });
  const less = lowBits(r, a, c.toString(2).length);
  if (less) return r.change(inst, [less, inst.args[1] as Inst], { op: "binary", binary: "and" });
  const part = maskedPart(r, a, c);
  if (part) return r.change(inst, [part, inst.args[1] as Inst], { op: "binary", binary: "and" });
  if (a.op === "ext" && !a.signed && a.from === 32 && c <= 0xffff_ffffn && r.isOnlyUse(a)) {
    const narrow = r.binary("and", a.args[0] as Inst, c);
    if (narrow.type === "i32") return r.change(inst, [narrow], { op: "ext", from: 32, signed: false });
  }
  return reassociate(r, inst, a, c);
}

/** The operand that alone reaches the masked bits: the other is 0 there and, for a sum, below. */
function maskedPart(r: Rewriter, a: Inst, mask: bigint): Inst | null {
  if (a.op !== "binary" || !["xor", "or", "add"].includes(a.binary) || r.mayBeChecked(a)) return null;
  const reach = a.binary === "add" ? (1n << BigInt(mask.toString(2).length)) - 1n : mask;
  const [x, y] = a.args as [Inst, Inst];
  if ((r.bits(y) & reach) === 0n) return x;
  return (r.bits(x) & reach) === 0n ? y : null;
}

/**
 * -bit & c and (x >> 63) & c: the verifier would go on twice, with 0 and with -1 (maybe_fork_scalars). A product of the bit does not fork.
 */
function maskedSign(r: Rewriter, inst: InstOf<"binary">, a: Inst, c: bigint): Inst | null {
  const bit = signBit(r, a);
  return bit ? r.change(inst, [bit, r.constant(inst.type, c)], { op: "binary", binary: "mul" }) : null;
}

/** The bit that fills a value of 0 or -1. */
export function signBit(r: Rewriter, a: Inst): Inst | null {
  if (a.op === "neg" && r.bits(a.args[0] as Inst) === 1n) return a.args[0] as Inst;
  if (a.op === "ext" && a.signed && a.from === 32) {
    const bit = signBit(r, a.args[0] as Inst);
    return bit && a.type === "i64" && bit.type === "i32"
      ? r.make("i64", [bit], { op: "ext", from: 32, signed: false })
      : null;
  }
  if (a.op !== "binary" || a.binary !== "ashr") return null;
  const count = a.args[1] as Inst;
  if (count.op !== "const" || count.value !== BigInt(widthOf(a.type) - 1)) return null;
  return r.binary("lshr", a.args[0] as Inst, count.value);
}

/** (x ^ c) & mask where x has no other bits: x ^ (c & mask). */
export function invertedPart(r: Rewriter, a: Inst, mask: bigint): [Inst, Inst] | null {
  if (a.op !== "binary" || a.binary !== "xor" || a.args[1]?.op !== "const" || r.mayBeChecked(a)) return null;
  const x = a.args[0] as Inst;
  return (r.bits(x) & ~mask) === 0n ? [x, r.constant(a.type, a.args[1].value & mask)] : null;
}

const FROM_BELOW: ReadonlySet<string> = new Set(["add", "sub", "mul", "and", "or", "xor"]);

/** A value with the same low bits, made with less: what only cuts or extends its upper bits is left out. Null where there is none. */
export function lowBits(r: Rewriter, value: Inst, bits: number, depth = 4): Inst | null {
  if (depth === 0 || !r.isOnlyUse(value)) return null;
  const mask = (1n << BigInt(bits)) - 1n;
  if (value.op === "ext") {
    const source = value.args[0] as Inst;
    return value.from >= bits && source.type === value.type ? (lowBits(r, source, bits, depth - 1) ?? source) : null;
  }
  if (value.op !== "binary" || !FROM_BELOW.has(value.binary)) return null;
  const [x, y] = value.args as [Inst, Inst];
  if (value.binary === "and" && y.op === "const" && (y.value & mask) === mask) {
    return lowBits(r, x, bits, depth - 1) ?? x;
  }
  const [left, right] = [lowBits(r, x, bits, depth - 1), lowBits(r, y, bits, depth - 1)];
  return left || right ? r.binary(value.binary, left ?? x, right ?? y) : null;
}
