/**
 * @module
 * Objects that helpers keep on the stack: dynptrs (two slots) and iterators. Bytes of them are never read or written directly.
 */
import type { Env } from "../env.ts";
import { goneValue } from "../privilege/privilege.ts";
import { Reg, flag, kind } from "../register.ts";
import { ALL_DYNPTR, ALL_ITERATOR, INVALID_SLOT, Slot, byte, mapRegs } from "../state.ts";
import type { Frame } from "../state.ts";

/** What a dynptr shows, in `size` of its register. */
export const dynptrKind = { local: 1, ringbuf: 2, skb: 3, xdp: 4, "skb-meta": 5, file: 6 } as const;
export type DynptrKind = keyof typeof dynptrKind;

/** A write to a slot of a dynptr ends it; one that holds a reference must be given back instead. */
export function destroyDynptrAt(env: Env, frame: Frame, index: number): void {
  const slot = frame.slot(index);
  if (slot.at(0) !== byte.dynptr && slot.at(7) !== byte.dynptr) return;
  const { reg } = slot;
  if (reg === null) return;
  if (reg.ref !== 0) env.refuse("dynptr", "a dynptr that holds a reference is overwritten");
  const first = reg.off === 1 ? index : index + 1;
  frame.stack[first] = INVALID_SLOT;
  frame.stack[first - 1] = INVALID_SLOT;
  forgetSlices(env, reg.id);
}

/** Slices of a dynptr that is gone. */
export function forgetSlices(env: Env, id: number): void {
  const gone = goneValue(env);
  mapRegs(env.state, (reg) => (reg.kind === kind.memory && reg.mapUid === id && id !== 0 ? gone : reg));
}

/** A dynptr in the slots `first` (its low half) and the one above. */
export function putDynptr(
  env: Env,
  frame: Frame,
  first: number,
  what: { kind: number; ref: number; readOnly: boolean },
): Reg {
  const low = new Reg();
  low.kind = kind.dynptr;
  low.size = what.kind;
  low.ref = what.ref;
  low.id = env.newId();
  low.off = 1;
  if (what.readOnly) low.flags |= flag.readOnly;
  const high = low.clone();
  high.off = 0;
  frame.stack[first] = new Slot(ALL_DYNPTR, low);
  frame.stack[first - 1] = new Slot(ALL_DYNPTR, high);
  frame.wrote(first);
  frame.wrote(first - 1);
  return low;
}

/** The dynptr that begins in this slot; null where there is none. */
export function dynptrAt(frame: Frame, first: number): Reg | null {
  const low = frame.slot(first);
  const high = frame.slot(first - 1);
  if (first < 1 || low.types !== ALL_DYNPTR || high.types !== ALL_DYNPTR) return null;
  return low.reg?.off === 1 ? low.reg : null;
}

/** State of an iterator, in `off` of its register. */
export const iteratorState = { active: 1, drained: 2 } as const;

export function iteratorAt(frame: Frame, first: number, slots: number): Reg | null {
  for (let index = first; index > first - slots; index--) {
    const slot = frame.slot(index);
    if (index < 0 || slot.types !== ALL_ITERATOR) return null;
  }
  const reg = frame.slot(first).reg;
  return reg !== null && reg.linked ? reg : null;
}

/** An iterator of several slots; the lowest carries its reference. `typeId`: which iterator. */
export function putIterator(frame: Frame, first: number, slots: number, reg: Reg): void {
  for (let index = first; index > first - slots; index--) {
    const own = reg.clone();
    own.linked = index === first;
    if (index !== first) own.ref = 0;
    frame.stack[index] = new Slot(ALL_ITERATOR, own);
    frame.wrote(index);
  }
}
