import { describe, expect, it } from "vitest";
import { constructSsa, emitModule, optimizeModule, verifyModule, type IrModule } from "@skep/ir";
import { cloneModule } from "../../../ir/src/edit.ts";
import { Random } from "../../../ir/test/random.ts";
import { compare, compileText, type Compiled } from "./check.ts";
import { generateModule, printModule, type FuzzModule } from "./generate.ts";
import { EARLY, WRONG_PASSES, type WrongPass } from "./mutations.ts";
import { VmRunner } from "./vm-runner.ts";

interface Sample {
  readonly fuzz: FuzzModule;
  readonly compiled: Compiled;
  /** In SSA form, before all passes and after them. */
  readonly early: IrModule;
  readonly late: IrModule;
}

const PROGRAMS = 24;

function sample(seed: number): Sample {
  const fuzz = generateModule(new Random(seed), seed, { functions: 8, programs: PROGRAMS - 8 });
  const compiled = compileText(printModule(fuzz));
  if ("kind" in compiled) throw new Error(compiled.message);
  const early = cloneModule(compiled.module);
  for (const fn of early.functions) constructSsa(fn);
  const late = { ...compiled.module, functions: optimizeModule(compiled.module, {}, []) };
  return { fuzz, compiled, early, late };
}

/** Whether the bug shows in one of the programs. */
function isFound({ fuzz, compiled, early, late }: Sample, wrong: WrongPass, isEarly = false): boolean {
  const module = cloneModule(isEarly ? early : late);
  let changed = 0;
  for (const fn of module.functions) changed += wrong(fn);
  if (changed === 0) return false;
  expect(verifyModule(module).map((one) => one.message)).toEqual([]);
  const { spec, diagnostics } = emitModule(module, { optimize: isEarly ? 2 : 0 });
  // Without passes some need more stack.
  if (diagnostics.length > 0) return false;
  try {
    return compare(fuzz, { ...compiled, spec }, new VmRunner(spec)).length > 0;
  } catch (error) {
    // The interpreter traps what a verified program does not do.
    if (error instanceof Error && error.name === "VmError") return true;
    throw error;
  }
}

describe("bugs in passes", () => {
  const samples = [31, 32, 33, 34, 35, 36, 37, 38].map(sample);

  it("are none without a mutation", () => {
    for (const one of samples) expect(isFound(one, () => 1)).toBe(false);
  });

  for (const [name, wrong] of Object.entries(WRONG_PASSES)) {
    it(`${name}: found within ${samples.length * PROGRAMS} programs`, () => {
      expect(samples.some((one) => isFound(one, wrong, EARLY.has(name)))).toBe(true);
    });
  }
});
