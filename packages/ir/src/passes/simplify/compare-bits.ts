/**
 * @module
 * What the bits that an operand may have decide of a compare.
 */
import { widthOf } from "../../edit.ts";
import type { Inst, Predicate } from "../../ir.ts";
import type { Rewriter } from "./rewriter.ts";

/** What the bits that may be set decide. */
export function byBits(r: Rewriter, predicate: Predicate, a: Inst, c: bigint): boolean | null {
  if (a.type === "ptr") return null;
  const possible = r.bits(a);
  const bits = widthOf(a.type);
  const isPositive = possible >> BigInt(bits - 1) === 0n;
  const signed = BigInt.asIntN(bits, c);
  switch (predicate) {
    case "ult":
      return possible < c ? true : null;
    case "ule":
      return possible <= c ? true : null;
    case "ugt":
      return possible <= c ? false : null;
    case "uge":
      return possible < c ? false : null;
    case "slt":
      return isPositive && signed <= 0n ? false : isPositive && possible < signed ? true : null;
    case "sle":
      return isPositive && signed < 0n ? false : isPositive && possible <= signed ? true : null;
    case "sgt":
      return isPositive && signed < 0n ? true : isPositive && possible <= signed ? false : null;
    case "sge":
      return isPositive && signed <= 0n ? true : isPositive && possible < signed ? false : null;
    case "set":
      return (possible & c) === 0n ? false : null;
    case "eq":
      return (c & ~possible) !== 0n ? false : null;
    case "ne":
      return (c & ~possible) !== 0n ? true : null;
  }
}
