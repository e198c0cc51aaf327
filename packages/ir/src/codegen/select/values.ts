/**
 * @module
 * What selection asks of values: which are made where they are used, which the kernel's verifier may know.
 */
import { possibleBits } from "../../analysis/bits.ts";
import type { InstOf } from "../../edit.ts";
import type { Inst } from "../../ir.ts";

export const fits32 = (value: bigint): boolean => value === BigInt.asIntN(32, value);
export const fits16 = (value: number): boolean => value >= -0x8000 && value <= 0x7fff;

/** How far a scalar may be from what it was made of to be added to a pointer (BPF_MAX_VAR_OFF). */
export const FARTHEST = 1n << 29n;

export function isCall(inst: Inst): boolean {
  return inst.op === "helper" || inst.op === "call" || inst.op === "kfunc";
}

/** Results of calls, and phis of them and constants. */
export function isPassedOn(value: Inst): boolean {
  if (value.op !== "phi") return isCall(value);
  return value.args.every((arg) => isCall(arg) || arg.op === "const") && value.args.some(isCall);
}

/** Addresses that are made where they are used. */
export function isAddress(inst: Inst): boolean {
  return inst.op === "stack" || inst.op === "map" || inst.op === "data" || inst.op === "function" || inst.op === "ksym";
}

/** Of what these give in 32 bits the verifier does not even know that it has no more (is_safe_to_compute_dst_reg_range). */
export function losesWidth(inst: InstOf<"binary">): boolean {
  if (inst.type !== "i32") return false;
  if (["udiv", "umod", "sdiv", "smod"].includes(inst.binary)) return true;
  return ["shl", "lshr", "ashr"].includes(inst.binary) && inst.args[1]?.op !== "const";
}

/** Whether the verifier may know the value, and that it is large. */
export function mayBeFar(value: Inst): boolean {
  if (value.op !== "const") return possibleBits(value) >= FARTHEST && mayBeKnown(value, 6);
  const distance = BigInt.asIntN(value.type === "i32" ? 32 : 64, value.value);
  return distance >= FARTHEST || distance <= -FARTHEST;
}

/** Whether a value may be a constant to the verifier: made of constants, of read-only data, of what lies on the stack or a function gives. */
function mayBeKnown(value: Inst, depth: number): boolean {
  if (depth === 0) return true;
  switch (value.op) {
    case "load":
      return value.space === "data" || value.space === "stack" || value.space === "unknown";
    case "helper":
    case "kfunc":
    case "atomic":
      return false;
    case "phi":
      return value.args.some((arg) => mayBeKnown(arg, depth - 1));
    default:
      return value.args.every((arg) => mayBeKnown(arg, depth - 1));
  }
}

/** The value below steps by a constant and copies: the verifier knows one by the other. */
export function stepped(value: Inst): Inst {
  const [a, b] = value.args;
  if (!a) return value;
  const isStep = value.op === "binary" && (value.binary === "add" || value.binary === "sub") && b?.op === "const";
  const isCopy = value.op === "trunc" || (value.op === "ext" && value.from === 32 && !value.signed);
  return isStep || isCopy ? stepped(a) : value;
}
