/**
 * @module
 * Spill slots whose values are never alive together become one.
 */
import { blockSuccessors } from "./mir.ts";
import type { MBlock, MFunction } from "./mir.ts";

/** Renumbers slots in place. */
export function shareSpillSlots(code: MFunction): void {
  const spills = code.slots.flatMap((slot, index) => (slot.spill ? [index] : []));
  if (spills.length < 2) return;
  const clashes = interference(code, spills);
  const home = new Map<number, number>();
  const groups: number[][] = [];
  for (const slot of spills) {
    let group = groups.find((members) => members.every((member) => !clashes.get(slot)?.has(member)));
    if (group === undefined) groups.push((group = []));
    group.push(slot);
    home.set(slot, group[0] as number);
  }
  for (const block of code.blocks) {
    for (const inst of block.insts) {
      if (inst.kind === "spill" || inst.kind === "reload") inst.slot = home.get(inst.slot) ?? inst.slot;
    }
  }
}

function interference(code: MFunction, spills: readonly number[]): Map<number, Set<number>> {
  const clashes = new Map<number, Set<number>>(spills.map((slot) => [slot, new Set<number>()]));
  const starts = new Map<MBlock, Set<number>>();
  const walk = (block: MBlock, note: boolean): Set<number> => {
    const live = new Set<number>();
    for (const next of blockSuccessors(block)) for (const slot of starts.get(next) ?? []) live.add(slot);
    for (let i = block.insts.length - 1; i >= 0; i--) {
      const inst = block.insts[i];
      if (inst?.kind === "reload") live.add(inst.slot);
      else if (inst?.kind === "spill") {
        live.delete(inst.slot);
        if (!note) continue;
        for (const other of live) {
          clashes.get(inst.slot)?.add(other);
          clashes.get(other)?.add(inst.slot);
        }
      }
    }
    return live;
  };
  for (let changed = true; changed;) {
    changed = false;
    for (const block of code.blocks.toReversed()) {
      const live = walk(block, false);
      if (live.size === (starts.get(block)?.size ?? 0)) continue;
      starts.set(block, live);
      changed = true;
    }
  }
  for (const block of code.blocks) walk(block, true);
  return clashes;
}
