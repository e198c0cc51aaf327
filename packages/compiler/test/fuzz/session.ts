/**
 * @module
 * Modules made, compiled, run and compared, with what is left out and what fails, by seed.
 */
import type { EmitOptions } from "@skep/ir";
import { Random } from "../../../ir/test/random.ts";
import { compare, compileText, type Compiled, type Failure, type Runner } from "./check.ts";
import { generateModule, printModule, type FuzzModule } from "./generate.ts";
import { shrink, type ShrinkOptions } from "./shrink.ts";

export interface SessionOptions {
  readonly functions: number;
  readonly programs: number;
  readonly emit?: EmitOptions;
  /** Compiles in another way: for bugs that are put in. */
  readonly compile?: (text: string) => Compiled | Failure;
  /** Loads the programs; throws where one is refused. */
  readonly load: (compiled: Compiled, programs: readonly string[]) => Runner;
  /** The program that a load refused and why; null for another error. */
  readonly refusal: (error: unknown) => { program: string; reason: string } | null;
}

export interface ModuleResult {
  readonly seed: number;
  readonly module: FuzzModule;
  /** Programs that ran and agreed. */
  readonly agreed: readonly FuzzModule["programs"][number][];
  /** Programs that are none, and why: the stack has 512 bytes. */
  readonly leftOut: readonly { readonly program: string; readonly reason: string }[];
  readonly failures: readonly Failure[];
}

export function runSeed(seed: number, options: SessionOptions): ModuleResult {
  return runModule(generateModule(new Random(seed), seed, options), options);
}

const TOO_MUCH_STACK = /(\w+) (?:and what it calls need|needs) \d+ bytes of stack/;

/** Compiles without the programs that need more stack than there is. */
function compileFitting(
  module: FuzzModule,
  options: SessionOptions,
): { module: FuzzModule; compiled: Compiled | Failure; leftOut: { program: string; reason: string }[] } {
  const compile = options.compile ?? ((text: string) => compileText(text, options.emit));
  const leftOut: { program: string; reason: string }[] = [];
  let fitting = module;
  for (;;) {
    const compiled = compile(printModule(fitting));
    const program = "kind" in compiled ? TOO_MUCH_STACK.exec(compiled.message)?.[1] : undefined;
    const rest = fitting.programs.filter((one) => one.name !== program);
    if (program === undefined || rest.length === fitting.programs.length) return { module: fitting, compiled, leftOut };
    leftOut.push({ program, reason: "needs more than 512 bytes of stack" });
    fitting = { ...fitting, programs: rest };
  }
}

export function runModule(given: FuzzModule, options: SessionOptions): ModuleResult {
  const { module, compiled, leftOut } = compileFitting(given, options);
  const result = { seed: given.seed, module, leftOut };
  if ("kind" in compiled) return { ...result, agreed: [], failures: [compiled] };
  const failures: Failure[] = [];
  let programs = [...module.programs];
  while (programs.length > 0) {
    const names = programs.map((one) => one.name);
    let runner: Runner;
    try {
      runner = options.load(compiled, names);
    } catch (error) {
      const refusal = options.refusal(error);
      if (refusal === null) throw error;
      failures.push({ kind: "refused", program: refusal.program, message: refusal.reason });
      programs = programs.filter((one) => one.name !== refusal.program);
      continue;
    }
    try {
      failures.push(...compare({ ...module, programs }, compiled, runner));
    } finally {
      runner.close();
    }
    break;
  }
  const failed = new Set(failures.map((failure) => failure.program));
  return { ...result, agreed: programs.filter((one) => !failed.has(one.name)), failures };
}

/** The smallest module found that fails as this one does. */
export function shrinkFailure(
  module: FuzzModule,
  failure: Failure,
  options: SessionOptions & Pick<ShrinkOptions, "tries" | "patience">,
): FuzzModule {
  const fails = (candidate: FuzzModule): boolean =>
    runModule(candidate, options).failures.some((one) => {
      if (one.kind !== failure.kind || one.program !== failure.program) return false;
      return failure.kind !== "refused" || one.message === failure.message;
    });
  const { tries, patience } = options;
  const limits = { ...(tries === undefined ? {} : { tries }), ...(patience === undefined ? {} : { patience }) };
  return shrink(module, failure.program, { fails, ...limits });
}
