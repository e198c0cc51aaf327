/**
 * @module
 * One random program held against the evaluator in the kernel.
 */
import type { EmitOptions } from "../src/index.ts";
import { verifyModule } from "../src/index.ts";
import { compile, describeOutcome, runEvaluator, runKernel } from "./harness.ts";
import { PACKET_BYTES, randomModule } from "./random-program.ts";
import { Random } from "./random.ts";

export interface Difference {
  readonly seed: number;
  readonly options: EmitOptions;
  readonly wanted: string;
  readonly got: string;
}

/** Null where kernel and evaluator agree on every input. Throws where the program is not compiled or not loaded. */
export function fuzzOne(seed: number, options: EmitOptions): Difference | null {
  const random = new Random(seed);
  const module = randomModule(random, { statements: 3 + random.below(20), callees: random.below(4) });
  const complaints = verifyModule(module);
  if (complaints.length > 0) throw new Error(`seed ${seed}: ${complaints[0]?.message}`);
  const spec = compile(module, options);
  for (let input = 0; input < 3; input++) {
    const packet = Uint8Array.from({ length: PACKET_BYTES }, () => random.below(256));
    const wanted = describeOutcome(runEvaluator(module, "main", packet));
    const got = describeOutcome(runKernel(spec, "main", packet));
    if (wanted !== got) return { seed, options, wanted, got };
  }
  return null;
}
