import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The first of the programs that is installed, or null. */
export function findTool(...names: readonly string[]): string | null {
  return names.find((name) => spawnSync(name, ["--version"], { stdio: "ignore" }).status === 0) ?? null;
}

/** Runs the function with a temporary folder, which is removed afterwards. */
export function withFolder<T>(run: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), "skep-isa-"));
  try {
    return run(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Compiles `testdata/<name>.c` to an object in the folder and gives its path. */
export function compileC(name: string, options: { clang: string; folder: string; cpu: "v3" | "v4" }): string {
  const source = fileURLToPath(new URL(`testdata/${name}.c`, import.meta.url));
  const output = join(options.folder, `${name}.o`);
  const include = `-I/usr/include/${process.arch === "arm64" ? "aarch64" : "x86_64"}-linux-gnu`;
  const flags = ["-O2", "-g", "-target", "bpf", `-mcpu=${options.cpu}`, include, "-c", source, "-o", output];
  execFileSync(options.clang, flags, { stdio: ["ignore", "ignore", "pipe"] });
  return output;
}
