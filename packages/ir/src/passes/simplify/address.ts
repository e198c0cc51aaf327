/**
 * @module
 * Addresses, accesses and calls.
 */
import { widthOf } from "../../edit.ts";
import type { InstOf } from "../../edit.ts";
import type { Inst } from "../../ir.ts";
import { lowBits } from "./masks.ts";
import type { Rewriter } from "./rewriter.ts";

const BPF_LOOP = 181;

/** A loop of no rounds: the kernel never looks at its callback, and then has no program for it (jit_subprogs in kernel/bpf/verifier.c). */
export function simplifyHelper(r: Rewriter, inst: InstOf<"helper">): Inst | null {
  const [times] = inst.args;
  const isEmpty = inst.helper === BPF_LOOP && times?.op === "const" && times.value === 0n;
  return isEmpty && inst.type !== undefined ? r.constant(inst.type, 0n) : null;
}

export function simplifyPtradd(r: Rewriter, inst: InstOf<"ptradd">): Inst | null {
  const [pointer, by] = inst.args as [Inst, Inst];
  if (by.op !== "const") return null;
  if (by.value === 0n) return pointer;
  if (pointer.op === "ptradd" && pointer.args[1]?.op === "const") {
    const sum = r.constant("i64", pointer.args[1].value + by.value);
    return r.change(inst, [pointer.args[0] as Inst, sum], { op: "ptradd" });
  }
  return null;
}

export function simplifyPtrsub(r: Rewriter, inst: InstOf<"ptrsub">): Inst | null {
  const [a, b] = inst.args as [Inst, Inst];
  if (a === b) return r.constant("i64", 0n);
  if (a.op === "ptradd" && a.args[0] === b) return a.args[1] as Inst;
  return null;
}

/** Constant steps go into the access. */
export function simplifyAccess(r: Rewriter, inst: InstOf<"load"> | InstOf<"store"> | InstOf<"atomic">): Inst | null {
  const pointer = inst.args[0] as Inst;
  const hasCore = inst.op !== "atomic" && inst.core !== undefined;
  if (!hasCore && pointer.op === "ptradd" && pointer.args[1]?.op === "const") {
    const offset = inst.offset + Number(BigInt.asIntN(64, pointer.args[1].value));
    if (offset >= -0x8000 && offset <= 0x7fff) {
      inst.offset = offset;
      inst.args[0] = pointer.args[0] as Inst;
      r.changed = true;
    }
  }
  if (inst.op === "store") simplifyStored(r, inst);
  return null;
}

/** Only the low bits of what is stored count. */
function simplifyStored(r: Rewriter, inst: InstOf<"store">): void {
  const kept = inst.size * 8;
  const mask = (1n << BigInt(kept)) - 1n;
  for (;;) {
    const value = inst.args[1] as Inst;
    const source = value.args[0] as Inst;
    const isCut =
      (value.op === "ext" && value.from >= kept) ||
      value.op === "trunc" ||
      (value.op === "binary" &&
        value.binary === "and" &&
        value.args[1]?.op === "const" &&
        (value.args[1].value & mask) === mask);
    const isUsable = isCut && !(source.type === "i32" && inst.size === 8);
    const less = isUsable ? source : kept < widthOf(value.type) ? lowBits(r, value, kept) : null;
    if (!less) return;
    inst.args[1] = less;
    r.changed = true;
  }
}
