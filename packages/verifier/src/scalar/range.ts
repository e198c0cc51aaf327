/** @module Numbers of which only a range is known. */
import { UNKNOWN } from "../register.ts";
import type { Reg } from "../register.ts";
import { sync } from "./bounds.ts";

/** A number from `min` to `max`, signed. */
export function arithmeticFreeRange(min: number, max: number): Reg {
  const reg = UNKNOWN.clone();
  reg.smin = min;
  reg.smax = max;
  reg.smin32 = Math.max(min, -0x8000_0000);
  reg.smax32 = Math.min(max, 0x7fff_ffff);
  sync(reg);
  return reg;
}
