/**
 * @module
 * The order of the passes.
 */
import { lowerMemory } from "../codegen/legalize.ts";
import { removeUnreachable } from "../edit.ts";
import type { IrFunction } from "../ir.ts";
import { combineAccesses } from "./combine.ts";
import { decideByDominators } from "./conditions.ts";
import { simplifyControlFlow } from "./control-flow.ts";
import { removeDeadCode } from "./dead-code.ts";
import { eliminateStores } from "./dead-stores.ts";
import { multiplyInstead } from "./divide.ts";
import { hoistInvariants } from "./hoist.ts";
import { eliminateLoads } from "./loads.ts";
import { ConstantPool } from "./pool.ts";
import { promoteStack } from "./promote.ts";
import { rotateLoops } from "./rotate-loops.ts";
import { simplifyInstructions } from "./simplify.ts";
import type { SimplifyOptions } from "./simplify.ts";
import { constructSsa } from "./ssa.ts";
import { threadJumps } from "./thread-jumps.ts";
import { numberValues } from "./value-numbering.ts";

export type OptimizeOptions = SimplifyOptions;

const MOST_ROUNDS = 8;
const MOST_THREADED = 6;

/** Simplifies until nothing changes any more. */
export function cleanUp(fn: IrFunction, options: OptimizeOptions): void {
  const pool = new ConstantPool(fn);
  for (let round = 0; round < MOST_ROUNDS; round++) {
    let changed = simplifyInstructions(fn, pool, options);
    changed = numberValues(fn) || changed;
    changed = simplifyControlFlow(fn, pool) || changed;
    changed = decideByDominators(fn, pool) || changed;
    changed = removeDeadCode(fn) || changed;
    if (!changed) return;
  }
}

/** All passes on one function, whose calls are inlined. */
export function optimizeFunction(fn: IrFunction, options: OptimizeOptions): void {
  removeUnreachable(fn);
  cleanUp(fn, options);
  if (promoteStack(fn, new ConstantPool(fn))) {
    constructSsa(fn);
    cleanUp(fn, options);
  }
  for (let round = 0; round < MOST_THREADED && threadJumps(fn); round++) cleanUp(fn, options);
  if (rotateLoops(fn)) cleanUp(fn, options);
  if (hoistInvariants(fn)) cleanUp(fn, options);
  for (let round = 0; round < 3; round++) {
    const loads = eliminateLoads(fn);
    const stores = eliminateStores(fn);
    if (!loads && !stores) break;
    cleanUp(fn, options);
  }
  lowerMemory(fn);
  const pool = new ConstantPool(fn);
  multiplyInstead(fn, pool);
  eliminateStores(fn);
  if (eliminateLoads(fn)) eliminateStores(fn);
  cleanUp(fn, options);
  if (combineAccesses(fn, new ConstantPool(fn), options)) cleanUp(fn, options);
  removeDeadCode(fn, { constants: true });
}
