import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { compileKernel } from "../scripts/compile-kernel.ts";

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Ends the process with 2 where it is not root. */
export function needRoot(bench: string): void {
  if (process.getuid?.() === 0) return;
  console.error(`the bench "${bench}" needs root and BPF`);
  process.exit(2);
}

/** Runs with a folder of its own, which is gone afterwards, also on failure. `within`: a folder that is made if absent. */
export async function withFolder(
  run: (folder: string) => void | Promise<void>,
  within: string = tmpdir(),
): Promise<void> {
  mkdirSync(within, { recursive: true });
  const folder = mkdtempSync(join(within, "skep-bench-"));
  try {
    await run(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Output of a command. Throws with what it said where it fails. */
export function output(command: string, args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: "utf8", maxBuffer: 1 << 28 });
  if (error) throw error;
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} ended with ${status}: ${stderr}`);
  return stdout;
}

/** Builds bench/twins/NAME.c against libbpf; null, said on stderr, where there is no C compiler or no libbpf. */
export function buildTwin(name: string, folder: string, flags: readonly string[] = []): string | null {
  const program = join(folder, name);
  const includes = "#include <bpf/bpf.h>\n#include <bpf/libbpf.h>\nint main(void){return libbpf_major_version()<0;}\n";
  const probe = spawnSync("cc", ["-x", "c", "-", "-o", join(folder, "probe"), "-lbpf"], { input: includes });
  if (probe.status !== 0) {
    console.error("cc or libbpf's headers are not installed: no peer in this run");
    return null;
  }
  output("cc", ["-O2", "-Wall", join(root, "bench/twins", `${name}.c`), "-o", program, "-lbpf", ...flags]);
  return program;
}

/** What a twin printed: lines of a name, a tab and a number. */
export function figures(text: string): Map<string, number> {
  const rows = text.trim().split("\n");
  return new Map(rows.map((row) => [row.slice(0, row.indexOf("\t")), Number(row.slice(row.indexOf("\t") + 1))]));
}

/** The object of a kernel module, by its path from the root of the repository. */
export function compiled(path: string): Uint8Array {
  return compileKernel(join(root, path));
}

/** The version of libbpf that `cc -lbpf` takes. */
export function libbpfName(): string {
  const header = readFileSync("/usr/include/bpf/libbpf_version.h", "utf8");
  const part = (name: string): string => new RegExp(`LIBBPF_${name}_VERSION\\s+(\\d+)`).exec(header)?.[1] ?? "?";
  return `libbpf ${part("MAJOR")}.${part("MINOR")} in C`;
}

/** Figures by case, gathered over rounds. */
export class Samples {
  readonly #values = new Map<string, number[]>();

  add(name: string, value: number): void {
    const values = this.#values.get(name);
    if (values) values.push(value);
    else this.#values.set(name, [value]);
  }

  addAll(figures: ReadonlyMap<string, number>): void {
    for (const [name, value] of figures) this.add(name, value);
  }

  /** Throws where nothing was measured under the name. */
  of(name: string): readonly number[] {
    const values = this.#values.get(name);
    if (!values) throw new Error(`nothing was measured as "${name}"`);
    return values;
  }
}
