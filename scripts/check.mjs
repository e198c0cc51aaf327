// The checks that are not tests: types, lint, format, allowed imports. Prints what failed; `npm test` runs it first.
import { spawn } from "node:child_process";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const bin = (name, file) => join(root, "node_modules", name, file);

const checks = [
  ["types of the pure packages", [bin("typescript", "bin/tsc"), "-p", "tsconfig.pure.json"]],
  ["types", [bin("typescript", "bin/tsc"), "-p", "tsconfig.json"]],
  ["types of the kernel programs", [bin("typescript", "bin/tsc"), "-p", "tsconfig.bpf.json"]],
  ["types of the page", [bin("typescript", "bin/tsc"), "-p", "packages/ui/tsconfig.json"]],
  ["lint", [bin("oxlint", "bin/oxlint"), "--type-aware", "--deny-warnings", "--quiet"]],
  ["format", [bin("prettier", "bin/prettier.cjs"), "--check", "--log-level", "warn", "."]],
  [
    "allowed imports",
    [bin("dependency-cruiser", "bin/dependency-cruise.mjs"), "--config", ".dependency-cruiser.cjs", "packages"],
  ],
];

/** Runs one, after what else wants a processor; the text that it printed, or null where it passed. */
function run(argv) {
  return new Promise((resolve, reject) => {
    const child = spawn("nice", ["-n", "10", process.execPath, ...argv], {
      cwd: root,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let text = "";
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (data) => (text += data));
    child.on("error", reject);
    child.on("close", (status) => resolve(status === 0 ? null : text || `ended with status ${status}`));
  });
}

/** Runs every check, several at a time; the names of those that failed. */
export async function runChecks({ quiet = false } = {}) {
  const failed = [];
  const waiting = [...checks];
  const work = async () => {
    for (let check = waiting.shift(); check; check = waiting.shift()) {
      const [name, argv] = check;
      const started = performance.now();
      const text = await run(argv);
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      if (text !== null) {
        failed.push(name);
        console.log(`✗ ${name} (${seconds} s)\n${text}`);
      } else if (!quiet) console.log(`✓ ${name} (${seconds} s)`);
    }
  };
  await Promise.all(Array.from({ length: Math.min(2, availableParallelism()) }, work));
  return { failed, total: checks.length };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exit((await runChecks()).failed.length > 0 ? 1 : 0);
