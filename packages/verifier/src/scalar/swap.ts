/** @module Byte order of numbers, known and half known. */
import { constantWords } from "../register.ts";
import type { Reg } from "../register.ts";
import { put } from "./tnum.ts";
import type { Tnum } from "./tnum.ts";

function swap32(word: number): number {
  return ((word & 0xff) << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24);
}

/** The low `width` bits, turned round or not, with zeros above. */
export function swapConstant(reg: Reg, width: number, swaps: boolean): Reg {
  if (width === 16) return constantWords(swaps ? swap32(reg.vl) >>> 16 : reg.vl & 0xffff, 0);
  if (width === 32) return constantWords(swaps ? swap32(reg.vl) : reg.vl, 0);
  return swaps ? constantWords(swap32(reg.vh), swap32(reg.vl)) : constantWords(reg.vl, reg.vh);
}

/** tnum_bswap16, tnum_bswap32 and tnum_bswap64: the low `width` bits turned round, zeros above. */
export function swapTnum(out: Tnum, of: Tnum, width: number): void {
  if (width === 16) put(out, swap32(of.vl) >>> 16, 0, swap32(of.ml) >>> 16, 0);
  else if (width === 32) put(out, swap32(of.vl), 0, swap32(of.ml), 0);
  else put(out, swap32(of.vh), swap32(of.vl), swap32(of.mh), swap32(of.ml));
}
