/**
 * @module
 * Loops that the kernel bounds by itself (iterators, may_goto, callbacks): what one round changed and nothing rests on is forgotten, so that
 * the next round finds a state that covers it (widen_imprecise_scalars, kernel/bpf/verifier.c).
 */
import { UNKNOWN, kind } from "../register.ts";
import type { Reg } from "../register.ts";
import { Slot } from "../state.ts";
import type { Frame, State } from "../state.ts";
import { registersSame } from "./equal.ts";

function sameCallSites(a: State, b: State): boolean {
  return a.frames.length === b.frames.length && a.frames.every((frame, i) => frame.callSite === b.frames[i]?.callSite);
}

/** The checkpoint of the round before at this instruction. */
export function findPreviousEntry(state: State, at: number): State | null {
  for (let entry = state.parent?.parent ?? null; entry !== null; entry = entry.parent) {
    if (entry.at === at && entry.branches > 0 && sameCallSites(entry, state)) return entry;
  }
  return null;
}

function widened(old: Reg, now: Reg): Reg {
  if (old.kind !== kind.scalar || now.kind !== kind.scalar) return now;
  if (old.precise || now.precise || registersSame(old, now)) return now;
  return UNKNOWN;
}

export function widenImprecise(old: State, now: State): void {
  for (let f = 0; f < now.frames.length; f++) {
    const before = old.frames[f] as Frame;
    const frame = now.frames[f] as Frame;
    for (let i = 0; i < 10; i++) frame.regs[i] = widened(before.reg(i), frame.reg(i));
    for (let i = 0; i < Math.min(before.stack.length, frame.stack.length); i++) {
      const a = before.slot(i);
      const b = frame.slot(i);
      if (!a.isSpill || !b.isSpill || a.reg === null || b.reg === null) continue;
      const reg = widened(a.reg, b.reg);
      if (reg !== b.reg) frame.stack[i] = new Slot(b.types, reg);
    }
  }
}
