/**
 * @module
 * Passes on functions written as text: what they make of them, and what they leave.
 */
import { describe, expect, it } from "vitest";
import type { IrFunction } from "../src/index.ts";
import { parseFunction, printFunction, verifyFunction } from "../src/index.ts";
import { combineAccesses } from "../src/passes/combine.ts";
import { decideByDominators } from "../src/passes/conditions.ts";
import { simplifyControlFlow } from "../src/passes/control-flow.ts";
import { removeDeadCode } from "../src/passes/dead-code.ts";
import { eliminateStores } from "../src/passes/dead-stores.ts";
import { multiplyInstead } from "../src/passes/divide.ts";
import { hoistInvariants } from "../src/passes/hoist.ts";
import { normalizeIndexes } from "../src/passes/index-forms.ts";
import { eliminateLoads } from "../src/passes/loads.ts";
import { ConstantPool } from "../src/passes/pool.ts";
import { promoteStack } from "../src/passes/promote.ts";
import { rotateLoops } from "../src/passes/rotate-loops.ts";
import { selectBits } from "../src/passes/select-bits.ts";
import { shadowCounters } from "../src/passes/shadow.ts";
import { simplifyInstructions } from "../src/passes/simplify.ts";
import { sinkIndexes } from "../src/passes/sink-indexes.ts";
import { constructSsa } from "../src/passes/ssa.ts";
import { threadJumps } from "../src/passes/thread-jumps.ts";
import { unrollLoops } from "../src/passes/unroll.ts";
import { numberValues } from "../src/passes/value-numbering.ts";

type Pass = (fn: IrFunction) => unknown;

export const PASSES = {
  ssa: (fn) => constructSsa(fn),
  simplify: (fn) => simplifyInstructions(fn, new ConstantPool(fn), { byteOrder: "little" }),
  numbering: (fn) => numberValues(fn),
  controlFlow: (fn) => simplifyControlFlow(fn, new ConstantPool(fn)),
  conditions: (fn) => decideByDominators(fn, new ConstantPool(fn)),
  deadCode: (fn) => removeDeadCode(fn),
  loads: (fn) => eliminateLoads(fn),
  stores: (fn) => eliminateStores(fn),
  promote: (fn) => promoteStack(fn, new ConstantPool(fn)),
  hoist: (fn) => hoistInvariants(fn),
  divide: (fn) => multiplyInstead(fn, new ConstantPool(fn)),
  combine: (fn) => combineAccesses(fn, new ConstantPool(fn), { byteOrder: "little" }),
  rotate: (fn) => rotateLoops(fn),
  unroll: (fn) => unrollLoops(fn),
  thread: (fn) => threadJumps(fn),
  shadow: (fn) => shadowCounters(fn, new ConstantPool(fn)),
  selectBits: (fn) => selectBits(fn, new ConstantPool(fn)),
  sink: (fn) => sinkIndexes(fn),
  indexes: (fn) => normalizeIndexes(fn, new ConstantPool(fn)),
} satisfies Record<string, Pass>;

export interface Case {
  readonly pass: keyof typeof PASSES;
  readonly name: string;
  /** Lines of a function with %0: i32, %1: i64, %2: ptr; labels end with a colon. */
  readonly before: string;
  /** What the text holds afterwards; absent: it is as before. */
  readonly has?: readonly RegExp[];
  readonly lacks?: readonly RegExp[];
}

export function read(lines: string): IrFunction {
  const body = lines
    .trim()
    .split("\n")
    .map((line) => (line.trim().endsWith(":") ? line.trim() : `  ${line.trim()}`));
  const head = ["static function f(a: i32, b: i64, p: ptr): i32 {", "b0:"];
  const params = ["  %0: i32 = param 0", "  %1: i64 = param 1", "  %2: ptr = param 2"];
  const fn = parseFunction([...head, ...params, ...body, "}", ""].join("\n"));
  if (!("blocks" in fn)) throw new Error(fn.message);
  return fn;
}

export const LOOP = (inside: string, limit = "%0"): string => `
  %3: i32 = const 0
  %4: i32 = const 1
  %5: i32 = const ${limit === "%0" ? 100 : limit}
  jump b1
  b1:
  %6: i32 = phi [b0 %3] [b2 %7]
  branch.ult %6, ${limit === "%0" ? "%0" : "%5"} b2, b3
  b2:
  ${inside}
  %7: i32 = add %6, %4
  jump b1
  b3:
  return %6`;

/** A loop of so many iterations within one of %0. */
export const NESTED = (limit: number): string => `
  %3: i32 = const 0
  %4: i32 = const 1
  %5: i32 = const ${limit}
  jump b1
  b1:
  %6: i32 = phi [b0 %3] [b5 %9]
  branch.ult %6, %0 b2, b6
  b2:
  jump b3
  b3:
  %7: i32 = phi [b2 %3] [b4 %8]
  branch.ult %7, %5 b4, b5
  b4:
  store.u32 %2, %7 +0 map align 4
  %8: i32 = add %7, %4
  jump b3
  b5:
  %9: i32 = add %6, %4
  jump b1
  b6:
  return %6`;

/** Where constants and parameters stand is of no consequence: a pool brings them to the front. */
function withoutConstants(text: string): string {
  return text
    .split("\n")
    .filter((line) => !/ = (const|param) /.test(line))
    .join("\n");
}

/** A test for each. */
export function testPasses(title: string, cases: readonly Case[]): void {
  describe(title, () => {
    for (const { pass, name, before, has, lacks } of cases) {
      it(`${pass}: ${name}`, () => {
        const fn = read(before);
        expect(verifyFunction(fn)).toEqual([]);
        const text = printFunction(fn);
        PASSES[pass](fn);
        expect(verifyFunction(fn)).toEqual([]);
        const after = printFunction(fn);
        if (!has && !lacks) expect(withoutConstants(after)).toBe(withoutConstants(text));
        for (const one of has ?? []) expect(after).toMatch(one);
        for (const one of lacks ?? []) expect(after).not.toMatch(one);
      });
    }
  });
}
