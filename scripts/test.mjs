// `npm test`: builds the generated modules, runs the checks and every test, and ends with one line of counts.
// `npm test -- packages/net` narrows it (no checks then).
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "./build.mjs";
import { runChecks } from "./check.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const narrowed = process.argv.slice(2);
const vitest = join(root, "node_modules", "vitest", "vitest.mjs");

/** Of what must not make the kernel tests wait. */
const NICENESS = 10;

/** Runs the tests of some projects, printing as they end; their counts. `nice`: after what else wants a processor. */
async function runTests(name, args, { nice = false } = {}) {
  const report = join(root, ".cache", `tests-${name}-${process.pid}.json`);
  mkdirSync(dirname(report), { recursive: true });
  const command = [vitest, "run", "--reporter=default", "--reporter=json", `--outputFile.json=${report}`, ...args];
  const [file, before] = nice ? ["nice", ["-n", String(NICENESS), process.execPath]] : [process.execPath, []];
  const started = performance.now();
  const status = await new Promise((resolve, reject) => {
    spawn(file, [...before, ...command], { cwd: root, stdio: "inherit" })
      .on("error", reject)
      .on("close", resolve);
  });
  try {
    const result = JSON.parse(readFileSync(report, "utf8"));
    const broken = result.numFailedTestSuites > 0 || status !== 0;
    return {
      passed: result.numPassedTests,
      failed: Math.max(result.numFailedTests, broken ? 1 : 0),
      skipped: result.numPendingTests + (result.numTodoTests ?? 0),
    };
  } catch (error) {
    console.error(`no report of the ${name} tests: ${error.message}`);
    return { passed: 0, failed: 1, skipped: 0 };
  } finally {
    rmSync(report, { force: true });
    console.log(`${name} tests: ended after ${((performance.now() - started) / 1000).toFixed(0)} s`);
  }
}

async function checkAndTest() {
  const { failed, total } = await runChecks();
  const checked = { passed: total - failed.length, failed: failed.length, skipped: 0 };
  return [checked, await runTests("unit", ["--project=unit"], { nice: true })];
}

/** The kernel tests go one after another and often wait: everything else goes beside them, with what they leave. */
async function runAll() {
  const kernel = runTests("kernel", ["--project=kernel", "--project=kernel-alone"]);
  return [...(await checkAndTest()), await kernel];
}

/** The second run of .ci/run, as an ordinary user: the checks are those of the first. */
async function runSecond() {
  console.log("types, lint, format, allowed imports, the pure packages, simulated clusters and the pages,");
  console.log("which know no user: checked by the run beside this one");
  return [await runTests("user's", [], { nice: true })];
}

await build();
const isSecond = process.env.SKEP_TEST_UNPRIVILEGED !== undefined;
const parts = await (narrowed.length > 0
  ? runTests("chosen", narrowed).then((one) => [one])
  : isSecond
    ? runSecond()
    : runAll());
const sum = (key) => parts.reduce((total, part) => total + part[key], 0);
console.log(`${sum("passed")} passed, ${sum("failed")} failed, ${sum("skipped")} skipped`);
process.exit(sum("failed") > 0 ? 1 : 0);
