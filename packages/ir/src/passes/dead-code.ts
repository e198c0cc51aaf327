/**
 * @module
 * Removes instructions that nothing needs, cycles of phis too.
 */
import { hasEffect } from "../analysis/effects.ts";
import { terminatorArgs } from "../analysis/cfg.ts";
import type { Inst, IrFunction } from "../ir.ts";

/** Returns whether something went. Constants stay with their pool unless asked for: they cost nothing. */
export function removeDeadCode(fn: IrFunction, options: { constants?: boolean } = {}): boolean {
  const live = new Uint8Array(fn.nextId);
  const work: Inst[] = [];
  const need = (inst: Inst): void => {
    if (live[inst.id] === 1) return;
    live[inst.id] = 1;
    work.push(inst);
  };
  for (const block of fn.blocks) {
    for (const inst of block.insts) if (hasEffect(inst)) need(inst);
    for (const arg of terminatorArgs(block.terminator)) need(arg);
  }
  for (let inst = work.pop(); inst !== undefined; inst = work.pop()) for (const arg of inst.args) need(arg);
  let changed = false;
  for (const block of fn.blocks) {
    const isKept = (inst: Inst): boolean =>
      live[inst.id] === 1 || inst.op === "param" || (inst.op === "const" && !options.constants);
    if (block.insts.every(isKept)) continue;
    block.insts = block.insts.filter(isKept);
    changed = true;
  }
  return changed;
}
