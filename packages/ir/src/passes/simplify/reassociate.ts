/**
 * @module
 * Constants of nested sums and products gathered.
 */
import { widthOf } from "../../edit.ts";
import type { InstOf } from "../../edit.ts";
import { evaluateBinary } from "../../evaluate/arithmetic.ts";
import type { BinaryOp, Inst } from "../../ir.ts";
import type { Rewriter } from "./rewriter.ts";

const ASSOCIATIVE = new Set<BinaryOp>(["add", "mul", "and", "or", "xor"]);

/** (x op c1) op c2 = x op (c1 op c2). */
export function reassociate(r: Rewriter, inst: InstOf<"binary">, a: Inst, c: bigint): Inst | null {
  if (!ASSOCIATIVE.has(inst.binary) || a.op !== "binary" || a.binary !== inst.binary) return null;
  if (r.mayBeChecked(a)) return null;
  const inner = a.args[1] as Inst;
  if (inner.op !== "const") return null;
  const folded = evaluateBinary(inst.binary, [inner.value, c], widthOf(inst.type));
  return r.change(inst, [a.args[0] as Inst, r.constant(inst.type, folded)], {
    op: "binary",
    binary: inst.binary,
  });
}
