/**
 * @module
 * What instructions do besides giving a value.
 */
import type { Inst } from "../ir.ts";

/** Whether the instruction must stay although nothing uses its result. */
export function hasEffect(inst: Inst): boolean {
  switch (inst.op) {
    case "store":
    case "copy":
    case "zero":
    case "atomic":
    case "helper":
    case "call":
    case "kfunc":
    case "local.set":
      return true;
    case "load":
      return inst.volatile === true;
    default:
      return false;
  }
}

/** Whether equal operands give equal results wherever it stands. */
export function isPure(inst: Inst): boolean {
  switch (inst.op) {
    case "const":
    case "binary":
    case "ptradd":
    case "ptrsub":
    case "neg":
    case "bswap":
    case "hton":
    case "ext":
    case "trunc":
    case "cmp":
    case "select":
    case "map":
    case "data":
    case "function":
    case "ksym":
    case "core":
      return true;
    default:
      return false;
  }
}
