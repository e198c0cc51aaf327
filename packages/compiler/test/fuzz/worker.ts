/**
 * @module
 * One process of the report: runs the seeds that it is given, and writes a line of JSON for each module.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { kernelSession } from "./kernel-session.ts";
import { printModule } from "./generate.ts";
import { runSeed, shrinkFailure } from "./session.ts";

export interface WorkerLine {
  readonly seed: number;
  readonly agreed: number;
  readonly twins: number;
  /** Programs with a loop, a map or the packet, and a 64-bit division. */
  readonly core: number;
  readonly features: Readonly<Record<string, number>>;
  readonly leftOut: readonly string[];
  readonly failures: readonly {
    readonly kind: string;
    readonly program: string;
    readonly message: string;
    readonly file: string | null;
  }[];
}

const [first = "1", last = "1", step = "1", folder = "."] = process.argv.slice(2);
const session = kernelSession({ functions: 6, programs: 24 });

function runOne(seed: number): WorkerLine {
  const result = runSeed(seed, session);
  const features: Record<string, number> = {};
  let [core, twins] = [0, 0];
  for (const program of result.agreed) {
    for (const feature of program.features) features[feature] = (features[feature] ?? 0) + 1;
    const has = (name: "loop" | "map" | "packet" | "div64" | "bpfLoop"): boolean => program.features.has(name);
    if ((has("loop") || has("bpfLoop")) && (has("map") || has("packet")) && has("div64")) core++;
    if (program.twin) twins++;
  }
  const failures = result.failures.map((failure) => {
    const small =
      failure.program === ""
        ? result.module
        : shrinkFailure(result.module, failure, { ...session, tries: 150, patience: 20_000 });
    const file = join(folder, `${failure.kind}-${seed}-${failure.program || "module"}.bpf.ts`);
    writeFileSync(file, `// ${failure.message.replaceAll("\n", "\n// ")}\n${printModule(small)}`);
    return { ...failure, file };
  });
  const leftOut = result.leftOut.map((one) => one.reason);
  return { seed, agreed: result.agreed.length, twins, core, features, leftOut, failures };
}

for (let seed = Number(first); seed <= Number(last); seed += Number(step)) {
  process.stdout.write(`${JSON.stringify(runOne(seed))}\n`);
}
