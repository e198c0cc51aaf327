/**
 * @module
 * Removes instructions that nothing needs, cycles of phis too.
 */
import { hasEffect } from "../analysis/effects.ts";
import { terminatorArgs } from "../analysis/cfg.ts";
import type { Inst, IrFunction } from "../ir.ts";

/** Returns whether something went. Constants stay with their pool unless asked for: they cost nothing. */
export function removeDeadCode(fn: IrFunction, options: { constants?: boolean } = {}): boolean {
  const live = new Set<Inst>();
  const need = (inst: Inst): void => {
    live.add(inst);
  };
  for (const block of fn.blocks) {
    for (const inst of block.insts) if (hasEffect(inst)) need(inst);
    terminatorArgs(block.terminator).forEach(need);
  }
  // A set grows while it is walked.
  for (const inst of live) inst.args.forEach(need);
  let changed = false;
  for (const block of fn.blocks) {
    const kept = block.insts.filter(
      (inst) => live.has(inst) || inst.op === "param" || (inst.op === "const" && !options.constants),
    );
    changed ||= kept.length !== block.insts.length;
    block.insts = kept;
  }
  return changed;
}
