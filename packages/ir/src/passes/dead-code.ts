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
  const needAll = (args: readonly Inst[]): void => {
    for (let i = 0; i < args.length; i++) need(args[i] as Inst);
  };
  for (const { insts, terminator } of fn.blocks) {
    for (let i = 0; i < insts.length; i++) {
      const inst = insts[i] as Inst;
      if (hasEffect(inst)) need(inst);
    }
    needAll(terminatorArgs(terminator));
  }
  for (let inst = work.pop(); inst !== undefined; inst = work.pop()) needAll(inst.args);
  const isKept = (inst: Inst): boolean =>
    live[inst.id] === 1 || inst.op === "param" || (inst.op === "const" && options.constants !== true);
  let changed = false;
  for (const block of fn.blocks) {
    const { insts } = block;
    let at = 0;
    while (at < insts.length && isKept(insts[at] as Inst)) at++;
    if (at === insts.length) continue;
    block.insts = insts.filter(isKept);
    changed = true;
  }
  return changed;
}
