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
 * `decideByDominators`. `isClean`: that was reached before, without `derive`, and nothing has changed since.
 */
export function cleanUp(
  fn: IrFunction,
  options: OptimizeOptions,
  { derive = false, isClean = false }: { derive?: boolean; isClean?: boolean } = {},
): boolean {
  if (isClean && !derive) return true;
  const pool = new ConstantPool(fn);
  const passes = [
    () => simplifyInstructions(fn, pool, options),
    () => numberValues(fn),
    () => simplifyControlFlow(fn, pool),
    () => decideByDominators(fn, pool, { derive }),
  ];
  // Each runs until no other has changed anything since.
  let left = isClean ? 1 : passes.length;
  for (let run = passes.length - left; left > 0 && run < MOST_ROUNDS * passes.length; run++) {
    const changed = passes[run % passes.length]?.() === true;
    left = changed ? passes.length : left - 1;
    // What is dead keeps values from being used once only.
    if (run % passes.length === passes.length - 1 && removeDeadCode(fn)) left = Math.max(left, 1);
  }
  return !removeDeadCode(fn) && left === 0;
}

/** All passes on one function, whose calls are inlined. `isClean`: it comes from `cleanUp` as it is. */
export function optimizeFunction(fn: IrFunction, options: OptimizeOptions, isClean = false): void {
  new Optimizer(fn, options, isClean).run();
}

class Optimizer {
  readonly #fn: IrFunction;
  readonly #options: OptimizeOptions;
  /** Whether the function is as `cleanUp` would leave it. */
  #isClean: boolean;

  constructor(fn: IrFunction, options: OptimizeOptions, isClean: boolean) {
    this.#fn = fn;
    this.#options = options;
    this.#isClean = isClean;
  }

  run(): void {
    const fn = this.#fn;
    if (!this.#isClean) removeUnreachable(fn);
    this.#cleanUp();
    this.#registers();
    for (let round = 0; round < MOST_THREADED && threadJumps(fn); round++) this.#cleanUpAfter();
    for (let round = 0; round < MOST_UNROLLED && unrollLoops(fn); round++) this.#cleanUpAfter();
    if (rotateLoops(fn)) this.#cleanUpAfter();
    this.#memory();
    if (hoistInvariants(fn)) this.#cleanUpAfter();
    // Nothing is moved up from here on.
    if (sinkIndexes(fn)) this.#isClean = false;
    if (selectBits(fn, new ConstantPool(fn))) this.#cleanUpAfter();
    this.#arithmetic();
    if (combineAccesses(fn, new ConstantPool(fn), this.#options)) this.#cleanUpAfter(true);
    removeDeadCode(fn, { constants: true });
  }

  /** After a change. */
  #cleanUpAfter(derive = false): void {
    this.#isClean = false;
    this.#cleanUp(derive);
  }

  /** Where nothing has changed it is clean still. What is clean with `derive` is so without. */
  #cleanUp(derive = false): void {
    this.#isClean = cleanUp(this.#fn, this.#options, { derive, isClean: this.#isClean });
  }

  /** Memory that can be variables. */
  #registers(): void {
    const fn = this.#fn;
    const promoted = promoteStack(fn, new ConstantPool(fn));
    const shadowed = shadowCounters(fn, new ConstantPool(fn));
    if (!promoted && !shadowed) return;
    constructSsa(fn);
    this.#cleanUpAfter();
  }

  #memory(): void {
    const fn = this.#fn;
    for (let round = 0; round < 3; round++) {
      const loads = eliminateLoads(fn);
      const stores = eliminateStores(fn);
      if (!loads && !stores) break;
      this.#cleanUpAfter();
    }
    let merged = false;
    while (mergeChecks(fn)) merged = true;
    if (merged) this.#cleanUpAfter();
    let changed = lowerMemory(fn);
    changed = eliminateStores(fn) || changed;
    if (eliminateLoads(fn)) {
      eliminateStores(fn);
      changed = true;
    }
    if (changed) this.#isClean = false;
    this.#cleanUp();
  }

  #arithmetic(): void {
    const fn = this.#fn;
    if (multiplyInstead(fn, new ConstantPool(fn))) this.#isClean = false;
    this.#cleanUp(true);
    for (let round = 0; round < 3 && normalizeIndexes(fn, new ConstantPool(fn)); round++) this.#cleanUpAfter(true);
    if (scaleCounters(fn, new ConstantPool(fn))) this.#cleanUpAfter(true);
  }
}
