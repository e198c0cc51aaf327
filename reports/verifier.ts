/**
 * @module
 * `npm run report -- verifier [--programs N] [--seed S] [FOLDER...]`: the same programs through Skep's verifier and the kernel's; writes
 * verifier.md, and fails where ours accepts what the kernel refuses without a reason that is written down, where a rule is not reached, and
 * where a verifier without it would not be told. FOLDER: more objects (`*.o`), such as those that the report `selftests` keeps. Needs root and BPF.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { openLinux } from "@skep/linux";
import { compareExecution } from "./verifier/execution.ts";
import { Fuzzing } from "./verifier/fuzz.ts";
import { compareMutants } from "./verifier/mutants.ts";
import { compareObjects, objectFiles, seedsFrom } from "./verifier/objects.ts";
import { failures, markdown } from "./verifier/write.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { programs: { type: "string", default: "200000" }, seed: { type: "string", default: "1" } },
});

const linux = openLinux();
const programs = Number(values.programs);
const seed = Number(values.seed);

const objects = objectFiles(positionals);
console.log(`${objects.length} objects`);
const compared = compareObjects(linux, objects);
const corpus = seedsFrom(objects.filter((each) => each.own));
console.log(`${corpus.seeds.length} real programs to mutate`);
const fuzzing = new Fuzzing(corpus, seed);
try {
  fuzzing.run(programs, (done) => console.log(`${done} of ${programs}`));
} finally {
  fuzzing.close();
}
const mutants = compareMutants(fuzzing.kept);
const execution = compareExecution(linux, { seed, programs: Math.ceil(programs / 200) });
const failed = failures({ compared, fuzzing, mutants });
const text = markdown({ compared, fuzzing, mutants, execution, seed, programs });
writeFileSync(join(import.meta.dirname, "verifier.md"), text);
console.log(readFileSync(join(import.meta.dirname, "verifier.md"), "utf8").slice(0, 4000));
for (const each of failed) console.error(each);
if (failed.length > 0) process.exitCode = 1;
