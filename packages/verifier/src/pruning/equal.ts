/**
 * @module
 * Whether what an older state allowed covers a newer one (states_equal, kernel/bpf/verifier.c).
 */
import { NOTHING, UNKNOWN, kind } from "../register.ts";
import type { Reg } from "../register.ts";
import { contains, sameTnum } from "../scalar/tnum.ts";
import { ALL_MISC, ALL_SPILL, byte } from "../state.ts";
import type { Frame, Slot, State } from "../state.ts";

/** `covers`: what nobody rests on is ignored; `within`: ranges only, marks are not complete; `same`: nothing has changed. */
export type Exactness = "covers" | "within" | "same";

/** Which id of the older state is which of the newer. */
export class IdMap {
  private readonly old: number[] = [];
  private readonly new: number[] = [];
  private temporary = 1 << 30;

  clear(): void {
    this.old.length = 0;
    this.new.length = 0;
    this.temporary = 1 << 30;
  }

  matches(old: number, now: number): boolean {
    if (old === 0 && now === 0) return true;
    if (old === 0 || now === 0) return false;
    for (let i = 0; i < this.old.length; i++) {
      if (this.old[i] === old) return this.new[i] === now;
      if (this.new[i] === now) return false;
    }
    this.old.push(old);
    this.new.push(now);
    return true;
  }

  /** Numbers without an id are each their own. */
  matchesScalar(old: number, now: number): boolean {
    return this.matches(old === 0 ? ++this.temporary : old, now === 0 ? ++this.temporary : now);
  }
}

const ids = new IdMap();
/** Stack that was never written may not be read. */
let wantsWritten = false;

/** `live`: registers that count, by instruction; `written`: stack that was never written may not be read. */
export function statesEqual(old: State, now: State, how: Exactness, live: Uint16Array, written: boolean): boolean {
  if (old.frames.length !== now.frames.length) return false;
  // What was seen of a wrong guess says nothing of a right one.
  if (old.speculative && !now.speculative) return false;
  wantsWritten = written;
  ids.clear();
  if (!referencesEqual(old, now)) return false;
  for (let i = 0; i < old.frames.length; i++) {
    const oldFrame = old.frames[i] as Frame;
    const frame = now.frames[i] as Frame;
    if (oldFrame.callSite !== frame.callSite || oldFrame.subprogram !== frame.subprogram) return false;
    const at = i === old.frames.length - 1 ? old.at : (old.frames[i + 1] as Frame).callSite;
    if (!framesEqual(oldFrame, frame, how, how === "same" ? 0x7ff : (live[at] ?? 0x7ff))) return false;
  }
  return true;
}

function referencesEqual(old: State, now: State): boolean {
  if (old.references.length !== now.references.length) return false;
  if (old.locks !== now.locks || old.sleepable !== now.sleepable || old.rcu !== now.rcu || old.preempt !== now.preempt)
    return false;
  if (!ids.matches(old.irqId, now.irqId)) return false;
  return old.references.every((reference, i) => {
    const other = now.references[i];
    return (
      other !== undefined &&
      other.kind === reference.kind &&
      other.owner === reference.owner &&
      ids.matches(reference.id, other.id)
    );
  });
}

function framesEqual(old: Frame, now: Frame, how: Exactness, live: number): boolean {
  if (old.callbackDepth > now.callbackDepth) return false;
  for (let i = 0; i < 11; i++) {
    if ((live & (1 << i)) === 0) continue;
    const a = old.reg(i);
    const b = now.reg(i);
    if (a === b && a.id === 0 && a.ref === 0) continue;
    if (!registerCovers(a, b, how)) return false;
  }
  return stackCovers(old, now, how);
}

function rangeCovers(old: Reg, now: Reg): boolean {
  return (
    old.umin <= now.umin &&
    old.umax >= now.umax &&
    old.smin <= now.smin &&
    old.smax >= now.smax &&
    old.umin32 <= now.umin32 &&
    old.umax32 >= now.umax32 &&
    old.smin32 <= now.smin32 &&
    old.smax32 >= now.smax32 &&
    contains(old, now)
  );
}

function samePointer(old: Reg, now: Reg): boolean {
  return (
    old.flags === now.flags &&
    old.off === now.off &&
    old.map === now.map &&
    old.mapUid === now.mapUid &&
    old.typeId === now.typeId &&
    old.ownType === now.ownType
  );
}

function sameRange(old: Reg, now: Reg): boolean {
  return (
    old.umin === now.umin &&
    old.umax === now.umax &&
    old.smin === now.smin &&
    old.smax === now.smax &&
    old.umin32 === now.umin32 &&
    old.umax32 === now.umax32 &&
    sameTnum(old, now)
  );
}

function isExact(old: Reg, now: Reg): boolean {
  return (
    old.kind === now.kind &&
    samePointer(old, now) &&
    old.size === now.size &&
    sameRange(old, now) &&
    ids.matches(old.id, now.id) &&
    ids.matches(old.ref, now.ref)
  );
}

export function registersSame(old: Reg, now: Reg): boolean {
  ids.clear();
  return isExact(old, now);
}

function registerCovers(old: Reg, now: Reg, how: Exactness): boolean {
  if (how === "same") return isExact(old, now);
  if (old.kind === kind.none) return true;
  if (old.kind !== now.kind) return false;
  switch (old.kind) {
    case kind.scalar:
      if (!old.precise && how === "covers") return true;
      if (old.linked !== now.linked || (old.linked && old.off !== now.off)) return false;
      return ids.matchesScalar(old.id, now.id) && rangeCovers(old, now);
    case kind.mapKey:
    case kind.mapValue:
    case kind.memory:
    case kind.buffer:
      return (
        samePointer(old, now) &&
        old.size === now.size &&
        rangeCovers(old, now) &&
        ids.matches(old.id, now.id) &&
        ids.matches(old.ref, now.ref)
      );
    case kind.packet:
    case kind.packetMeta:
      return old.size <= now.size && old.off === now.off && ids.matches(old.id, now.id) && rangeCovers(old, now);
    case kind.arena:
      return true;
    default:
      return isExact(old, now);
  }
}

function stackCovers(old: Frame, now: Frame, how: Exactness): boolean {
  if (how !== "covers" && old.stack.length > now.stack.length) return false;
  for (let i = 0; i < old.stack.length; i++) {
    const a = old.slot(i);
    const isRead = ((i < 32 ? old.readLow : old.readHigh) & (1 << (i & 31))) !== 0;
    if (how === "covers" && !isRead) continue;
    const b = now.slot(i);
    if (a === b && (a.reg === null || (a.reg.id === 0 && a.reg.ref === 0))) continue;
    if (how !== "covers" && a.types !== b.types) return false;
    if (!slotCovers(a, b, how)) return false;
  }
  return true;
}

/** A slot as a number: a whole spill, or bytes of which nothing is known. */
function asScalar(slot: Slot): Reg | null {
  if (slot.types === ALL_SPILL) return slot.reg?.kind === kind.scalar ? slot.reg : null;
  return slot.types === ALL_MISC ? UNKNOWN : null;
}

function slotCovers(old: Slot, now: Slot, how: Exactness): boolean {
  const a = asScalar(old);
  const b = asScalar(now);
  if (a !== null && b !== null) return registerCovers(a, b, how);
  for (let i = 0; i < 8; i++) {
    const type = old.at(i);
    // Uninitialised bytes may be read, so unknown ones cover everything that is no object.
    if (type === byte.invalid || (type === byte.misc && !(wantsWritten && now.at(i) === byte.invalid))) continue;
    if (type !== now.at(i)) return false;
  }
  if (old.isSpill) return registerCovers(old.reg ?? NOTHING, now.reg ?? NOTHING, how);
  const special = old.at(0) >= byte.dynptr;
  if (!special) return true;
  if (old.reg === null || now.reg === null) return false;
  return objectsEqual(old.reg, now.reg);
}

function objectsEqual(old: Reg, now: Reg): boolean {
  return (
    old.kind === now.kind &&
    old.size === now.size &&
    old.typeId === now.typeId &&
    old.linked === now.linked &&
    (old.kind !== kind.iterator || old.off === now.off) &&
    (old.kind !== kind.dynptr || old.off === now.off) &&
    ids.matches(old.ref, now.ref)
  );
}
