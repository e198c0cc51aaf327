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
import { normalizeIndexes, scaleCounters } from "./index-forms.ts";
import { eliminateLoads } from "./loads.ts";
import { mergeChecks } from "./merge-checks.ts";
import { ConstantPool } from "./pool.ts";
import { promoteStack } from "./promote.ts";
import { rotateLoops } from "./rotate-loops.ts";
import { selectBits } from "./select-bits.ts";
import { shadowCounters } from "./shadow.ts";
import { simplifyInstructions } from "./simplify.ts";
import type { SimplifyOptions } from "./simplify.ts";
import { sinkIndexes } from "./sink-indexes.ts";
import { constructSsa } from "./ssa.ts";
import { threadJumps } from "./thread-jumps.ts";
import { unrollLoops } from "./unroll.ts";
import { numberValues } from "./value-numbering.ts";

export type OptimizeOptions = SimplifyOptions;

const MOST_ROUNDS = 8;
const MOST_THREADED = 6;
const MOST_UNROLLED = 2;

/**
 * Simplifies until nothing changes any more, and gives whether that was reached: then another time would change nothing. `derive`: see
 * `decideByDominators`.
 */
export function cleanUp(fn: IrFunction, options: OptimizeOptions, derive = false): boolean {
  const pool = new ConstantPool(fn);
  const passes = [
    () => simplifyInstructions(fn, pool, options),
    () => numberValues(fn),
    () => simplifyControlFlow(fn, pool),
    () => decideByDominators(fn, pool, { derive }),
  ];
  // Each runs until no other has changed anything since.
  let left = passes.length;
  for (let run = 0; left > 0 && run < MOST_ROUNDS * passes.length; run++) {
    const changed = passes[run % passes.length]?.() === true;
    left = changed ? passes.length : left - 1;
    // What is dead keeps values from being used once only.
    if (run % passes.length === passes.length - 1 && removeDeadCode(fn)) left = Math.max(left, 1);
  }
  return !removeDeadCode(fn) && left === 0;
}

/** All passes on one function, whose calls are inlined. `isClean`: it comes from `cleanUp` as it is. */
export function optimizeFunction(fn: IrFunction, options: OptimizeOptions, isClean = false): void {
  if (!isClean) {
    removeUnreachable(fn);
    cleanUp(fn, options);
  }
  const promoted = promoteStack(fn, new ConstantPool(fn));
  const shadowed = shadowCounters(fn, new ConstantPool(fn));
  if (promoted || shadowed) {
    constructSsa(fn);
    cleanUp(fn, options);
  }
  for (let round = 0; round < MOST_THREADED && threadJumps(fn); round++) cleanUp(fn, options);
  for (let round = 0; round < MOST_UNROLLED && unrollLoops(fn); round++) cleanUp(fn, options);
  if (rotateLoops(fn)) cleanUp(fn, options);
  for (let round = 0; round < 3; round++) {
    const loads = eliminateLoads(fn);
    const stores = eliminateStores(fn);
    if (!loads && !stores) break;
    cleanUp(fn, options);
  }
  let merged = false;
  while (mergeChecks(fn)) merged = true;
  if (merged) cleanUp(fn, options);
  lowerMemory(fn);
  eliminateStores(fn);
  if (eliminateLoads(fn)) eliminateStores(fn);
  cleanUp(fn, options);
  if (hoistInvariants(fn)) cleanUp(fn, options);
  // Nothing is moved up from here on.
  sinkIndexes(fn);
  if (selectBits(fn, new ConstantPool(fn))) cleanUp(fn, options);
  finishArithmetic(fn, options);
  if (combineAccesses(fn, new ConstantPool(fn), options)) cleanUp(fn, options, true);
  removeDeadCode(fn, { constants: true });
}

function finishArithmetic(fn: IrFunction, options: OptimizeOptions): void {
  multiplyInstead(fn, new ConstantPool(fn));
  cleanUp(fn, options, true);
  for (let round = 0; round < 3 && normalizeIndexes(fn, new ConstantPool(fn)); round++) cleanUp(fn, options, true);
  if (scaleCounters(fn, new ConstantPool(fn))) cleanUp(fn, options, true);
}
