// `npm test`: builds the generated modules, runs the checks and every test, and ends with one line of counts.
// `npm test -- packages/net` narrows it (no checks then).
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "./build.mjs";
import { runChecks } from "./check.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const narrowed = process.argv.slice(2);

await build();
// The second run of .ci/run, as an ordinary user: the checks are those of the first.
const isSecond = process.env.SKEP_TEST_UNPRIVILEGED !== undefined;
if (isSecond)
  console.log(
    "types, lint, format, allowed imports, the pure packages and simulated clusters, which know no user: checked by the run beside this one",
  );
const checks = narrowed.length > 0 || isSecond ? { failed: [], total: 0 } : await runChecks();

const report = join(root, ".cache", `tests-${process.pid}.json`);
mkdirSync(dirname(report), { recursive: true });
const vitest = join(root, "node_modules", "vitest", "vitest.mjs");
const { status } = spawnSync(
  process.execPath,
  [vitest, "run", "--reporter=default", "--reporter=json", `--outputFile.json=${report}`, ...narrowed],
  { cwd: root, stdio: "inherit" },
);
let counts = { passed: 0, failed: 1, skipped: 0 };
try {
  const result = JSON.parse(readFileSync(report, "utf8"));
  counts = {
    passed: result.numPassedTests,
    failed: Math.max(result.numFailedTests, result.numFailedTestSuites > 0 || status !== 0 ? 1 : 0),
    skipped: result.numPendingTests + (result.numTodoTests ?? 0),
  };
} catch (error) {
  console.error(`no report of the tests: ${error.message}`);
} finally {
  rmSync(report, { force: true });
}
counts.passed += checks.total - checks.failed.length;
counts.failed += checks.failed.length;
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exit(counts.failed > 0 || status !== 0 ? 1 : 0);
