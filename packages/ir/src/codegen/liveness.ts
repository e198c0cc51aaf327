/**
 * @module
 * Which registers are live where; and the removal of code whose result nothing reads.
 */
import { blockSuccessors, definition, forEachTerminatorUse, forEachUse, NONE } from "./mir.ts";
import type { MBlock, MFunction, MInst, Reg } from "./mir.ts";

/** Sets of registers, a bit each. */
export type RegSet = Uint32Array;

const has = (set: RegSet, reg: Reg): boolean => (((set[reg >>> 5] ?? 0) >>> (reg & 31)) & 1) === 1;

function add(set: RegSet, reg: Reg): void {
  set[reg >>> 5] = (set[reg >>> 5] ?? 0) | (1 << (reg & 31));
}

function remove(set: RegSet, reg: Reg): void {
  set[reg >>> 5] = (set[reg >>> 5] ?? 0) & ~(1 << (reg & 31));
}

/** Registers live at the end of each block. */
export function liveOut(code: MFunction): Map<MBlock, RegSet> {
  const words = (code.registers + 31) >>> 5;
  const out = new Map<MBlock, RegSet>();
  const into = new Map<MBlock, RegSet>();
  const gen = new Map<MBlock, { use: RegSet; def: RegSet }>();
  for (const block of code.blocks) {
    out.set(block, new Uint32Array(words));
    into.set(block, new Uint32Array(words));
    gen.set(block, summary(block, words));
  }
  for (let changed = true; changed;) {
    changed = false;
    for (let i = code.blocks.length - 1; i >= 0; i--) {
      const block = code.blocks[i] as MBlock;
      const live = out.get(block) as RegSet;
      for (const next of blockSuccessors(block)) {
        const from = into.get(next) as RegSet;
        for (let w = 0; w < words; w++) live[w] = (live[w] as number) | (from[w] as number);
      }
      const { use, def } = gen.get(block) as { use: RegSet; def: RegSet };
      const start = into.get(block) as RegSet;
      for (let w = 0; w < words; w++) {
        const value = ((use[w] as number) | ((live[w] as number) & ~(def[w] as number))) >>> 0;
        if (value !== start[w]) {
          start[w] = value;
          changed = true;
        }
      }
    }
  }
  return out;
}

/** Registers live at the start of the block. */
export function liveIn(block: MBlock, out: RegSet): RegSet {
  const live = out.slice();
  walkBackward(block, live, () => undefined);
  return live;
}

function summary(block: MBlock, words: number): { use: RegSet; def: RegSet } {
  const use = new Uint32Array(words);
  const def = new Uint32Array(words);
  const read = (reg: Reg): void => {
    if (!has(def, reg)) add(use, reg);
  };
  for (const inst of block.insts) {
    forEachUse(inst, read);
    const reg = definition(inst);
    if (reg !== NONE) add(def, reg);
    if (inst.kind === "call") for (let r = 0; r <= 5; r++) add(def, r);
  }
  forEachTerminatorUse(block.terminator, read);
  return { use, def };
}

/** Visits the instructions from last to first with what is live after each; `live` ends as what is live before the block. */
function walkBackward(block: MBlock, live: RegSet, visit: (inst: MInst, index: number) => void): void {
  forEachTerminatorUse(block.terminator, (reg) => add(live, reg));
  for (let i = block.insts.length - 1; i >= 0; i--) {
    const inst = block.insts[i] as MInst;
    visit(inst, i);
    const reg = definition(inst);
    if (reg !== NONE) remove(live, reg);
    if (inst.kind === "call") for (let r = 0; r <= 5; r++) remove(live, r);
    forEachUse(inst, (use) => add(live, use));
  }
}

const PURE = new Set(["mov", "alu", "load", "lddw", "frame", "reload"]);

/** Removes what has no effect and no reader. Volatile loads are kept by `keep`. */
export function removeDead(code: MFunction): void {
  for (let changed = true; changed;) {
    changed = false;
    const out = liveOut(code);
    for (const block of code.blocks) {
      const live = (out.get(block) as RegSet).slice();
      forEachTerminatorUse(block.terminator, (reg) => add(live, reg));
      const kept: MInst[] = [];
      for (let i = block.insts.length - 1; i >= 0; i--) {
        const inst = block.insts[i] as MInst;
        const reg = definition(inst);
        const isDead = PURE.has(inst.kind) && reg !== NONE && !has(live, reg) && inst.keep !== true;
        if (isDead) {
          changed = true;
          continue;
        }
        kept.push(inst);
        if (reg !== NONE) remove(live, reg);
        if (inst.kind === "call") for (let r = 0; r <= 5; r++) remove(live, r);
        forEachUse(inst, (use) => add(live, use));
      }
      block.insts = kept.reverse();
    }
  }
}
