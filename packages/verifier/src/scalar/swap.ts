/** @module Byte order of constants. */
import { constantWords } from "../register.ts";
import type { Reg } from "../register.ts";

function swap32(word: number): number {
  return ((word & 0xff) << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24);
}

/** The low `width` bits, turned round or not, with zeros above. */
export function swapConstant(reg: Reg, width: number, swaps: boolean): Reg {
  if (width === 16) return constantWords(swaps ? swap32(reg.vl) >>> 16 : reg.vl & 0xffff, 0);
  if (width === 32) return constantWords(swaps ? swap32(reg.vl) : reg.vl, 0);
  return swaps ? constantWords(swap32(reg.vh), swap32(reg.vl)) : constantWords(reg.vl, reg.vh);
}
