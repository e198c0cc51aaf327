// The checks that are not tests: types, lint, format, allowed imports. Prints what failed; `npm test` runs it first.
import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const bin = (name, file) => join(root, "node_modules", name, file);

const checks = [
  ["types of the pure packages", [bin("typescript", "bin/tsc"), "-p", "tsconfig.pure.json"]],
  ["types", [bin("typescript", "bin/tsc"), "-p", "tsconfig.json"]],
  ["types of the kernel programs", [bin("typescript", "bin/tsc"), "-p", "tsconfig.bpf.json"]],
  ["lint", [bin("oxlint", "bin/oxlint"), "--type-aware", "--deny-warnings", "--quiet"]],
  ["format", [bin("prettier", "bin/prettier.cjs"), "--check", "--log-level", "warn", "."]],
  [
    "allowed imports",
    [bin("dependency-cruiser", "bin/dependency-cruise.mjs"), "--config", ".dependency-cruiser.cjs", "packages"],
  ],
];

/** Runs every check; the names of those that failed. */
export function runChecks({ quiet = false } = {}) {
  const failed = [];
  for (const [name, argv] of checks) {
    const started = performance.now();
    const { status, stdout, stderr } = spawnSync(process.execPath, argv, {
      cwd: root,
      encoding: "utf8",
      maxBuffer: 1 << 26,
    });
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    if (status !== 0) {
      failed.push(name);
      console.log(`✗ ${name} (${seconds} s)\n${stdout}${stderr}`);
    } else if (!quiet) console.log(`✓ ${name} (${seconds} s)`);
  }
  return { failed, total: checks.length };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exit(runChecks().failed.length > 0 ? 1 : 0);
