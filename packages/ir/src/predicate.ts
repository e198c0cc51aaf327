/**
 * @module
 * Facts about predicates.
 */
import type { Predicate } from "./ir.ts";

/** What holds exactly where the other does not; `set` has none. */
export const INVERSE: Readonly<Record<Predicate, Predicate | null>> = {
  eq: "ne",
  ne: "eq",
  ult: "uge",
  uge: "ult",
  ule: "ugt",
  ugt: "ule",
  slt: "sge",
  sge: "slt",
  sle: "sgt",
  sgt: "sle",
  set: null,
};

/** The same with operands exchanged. */
export const SWAPPED: Readonly<Record<Predicate, Predicate>> = {
  eq: "eq",
  ne: "ne",
  ult: "ugt",
  ugt: "ult",
  ule: "uge",
  uge: "ule",
  slt: "sgt",
  sgt: "slt",
  sle: "sge",
  sge: "sle",
  set: "set",
};

/** Whether the predicate holds of two values of `bits` bits. */
export function evaluatePredicate(predicate: Predicate, operands: readonly [bigint, bigint], bits: number): boolean {
  const [a, b] = operands;
  const [sa, sb] = [BigInt.asIntN(bits, a), BigInt.asIntN(bits, b)];
  switch (predicate) {
    case "eq":
      return a === b;
    case "ne":
      return a !== b;
    case "ult":
      return a < b;
    case "ule":
      return a <= b;
    case "ugt":
      return a > b;
    case "uge":
      return a >= b;
    case "slt":
      return sa < sb;
    case "sle":
      return sa <= sb;
    case "sgt":
      return sa > sb;
    case "sge":
      return sa >= sb;
    case "set":
      return (a & b) !== 0n;
  }
}
