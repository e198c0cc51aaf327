/**
 * @module
 * Copies that happen at once, as a sequence.
 */
import type { Reg } from "./mir.ts";

export interface Copy {
  readonly dst: Reg;
  readonly src: Reg;
}

/** Orders the copies so that none overwrites what another still reads; a cycle goes through a register of `fresh`. */
export function sequentialize(copies: readonly Copy[], fresh: () => Reg): Copy[] {
  const pending = copies.filter(({ dst, src }) => dst !== src).map((copy) => ({ ...copy }));
  const out: Copy[] = [];
  while (pending.length > 0) {
    const free = pending.findIndex(({ dst }) => !pending.some((other) => other.src === dst));
    if (free >= 0) {
      out.push(...pending.splice(free, 1));
      continue;
    }
    // Only cycles are left: save one destination, its readers read the copy.
    const { dst } = pending[0] as Copy;
    const saved = fresh();
    out.push({ dst: saved, src: dst });
    for (const copy of pending) if (copy.src === dst) copy.src = saved;
  }
  return out;
}
