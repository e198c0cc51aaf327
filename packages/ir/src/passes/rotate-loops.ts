/**
 * @module
 * Loops test at their end: `while (c) body` becomes `if (c) do body while (c)`, one branch per iteration.
 */
import { buildCfg, findLoops, predecessors } from "../analysis/cfg.ts";
import type { Cfg, Loop } from "../analysis/cfg.ts";
import { hasEffect } from "../analysis/effects.ts";
import type { IrFunction } from "../ir.ts";
import { demoteOutside, duplicateFor, LocalNames, Readers } from "./duplicate.ts";
import { constructSsa } from "./ssa.ts";

/** Instructions of a test that is worth doing twice in the code. */
const MOST_COPIED = 8;

/** Returns whether a loop was rotated. */
export function rotateLoops(fn: IrFunction): boolean {
  let changed = false;
  // Rotating one changes the graph for the others.
  for (const header of findLoops(buildCfg(fn)).loops.map((loop) => loop.header)) {
    const cfg = buildCfg(fn);
    const loop = findLoops(cfg).loops.find((known) => known.header === header);
    if (loop && canRotate(cfg, loop)) {
      rotate(fn, loop);
      constructSsa(fn);
      changed = true;
    }
  }
  return changed;
}

function canRotate(cfg: Cfg, loop: Loop): boolean {
  const { header } = loop;
  const terminator = header.terminator;
  if (terminator?.op !== "branch" || loop.blocks.size === 1) return false;
  const [isInside, alsoInside] = [loop.blocks.has(terminator.then), loop.blocks.has(terminator.else)];
  if (isInside === alsoInside) return false;
  // Tested at the end already.
  if (loop.latches.every((latch) => latch === header)) return false;
  const body = header.insts.filter((inst) => inst.op !== "phi");
  if (body.length > MOST_COPIED || body.some((inst) => hasEffect(inst) || inst.op === "stack")) return false;
  const isExitTested = loop.latches.every((latch) => latch.terminator?.op === "jump");
  return isExitTested && (cfg.preds.get(header) ?? []).some((pred) => !loop.blocks.has(pred));
}

function rotate(fn: IrFunction, loop: Loop): void {
  const { header } = loop;
  const entering = new Set((predecessors(fn.blocks).get(header) ?? []).filter((pred) => !loop.blocks.has(pred)));
  demoteOutside(fn, header, { names: new LocalNames(fn), readers: new Readers(fn.blocks) });
  duplicateFor(fn, header, entering);
}
