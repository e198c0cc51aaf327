/**
 * @module
 * Texts as fixed arrays of bytes.
 */
import type * as Kernel from "./kernel.ts";
import type { FixedArray, u8 } from "./api.ts";

function utf8(point: number): number[] {
  if (point < 0x80) return [point];
  const last = 0x80 | (point & 0x3f);
  if (point < 0x800) return [0xc0 | (point >> 6), last];
  const third = 0x80 | ((point >> 6) & 0x3f);
  if (point < 0x10000) return [0xe0 | (point >> 12), third, last];
  return [0xf0 | (point >> 18), 0x80 | ((point >> 12) & 0x3f), third, last];
}

/** UTF-8 in `length` bytes, zeros behind it. Throws RangeError where it is longer. */
export const text: typeof Kernel.text = <const N extends number>(value: string, length: N): FixedArray<u8, N> => {
  const bytes = [...value].flatMap((character) => utf8(character.codePointAt(0) ?? 0));
  if (bytes.length > length) throw new RangeError(`"${value}" has ${bytes.length} bytes, more than ${length}`);
  return Array.from({ length }, (_, at) => bytes[at] ?? 0) as FixedArray<u8, N>;
};
