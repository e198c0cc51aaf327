/**
 * @module
 * How the tests of this folder get at its programs: compiled from their files, loaded with the types of their modules.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { compile, formatDiagnostic } from "@skep/compiler";
import { load, type App, type AppOptions, type Program } from "@skep/machine";
import type { ObjectSpec } from "@skep/object";
import type { LinuxBpf } from "@skep/linux";

const folder = fileURLToPath(new URL("./", import.meta.url));

function readFile(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

const specs = new Map<string, ObjectSpec>();

/** The object of `NAME.bpf.ts`, compiled once. Throws with its diagnostics. */
export function specOf(name: string): ObjectSpec {
  const known = specs.get(name);
  if (known) return known;
  const { spec, diagnostics, sources } = compile(`${folder}${name}.bpf.ts`, { readFile });
  if (!spec) {
    const texts = diagnostics.map((one) => formatDiagnostic(one, one.span && sources[one.span.file]));
    throw new Error(`${name}.bpf.ts:\n${texts.join("\n")}`);
  }
  specs.set(name, spec);
  return spec;
}

/** What is open during a test: closed by `closeAll`, last first. */
export class Corpus {
  readonly bpf: LinuxBpf;
  #open: { close(): void }[] = [];

  constructor(bpf: LinuxBpf) {
    this.bpf = bpf;
  }

  keep<T extends { close(): void }>(thing: T): T {
    this.#open.push(thing);
    return thing;
  }

  load<M extends object>(name: string, module: M, options: AppOptions<M> = {}): App<M> {
    return this.keep(load({ bpf: this.bpf }, specOf(name), { ...options, module }));
  }

  closeAll(): void {
    for (const one of this.#open.splice(0).reverse()) one.close();
  }
}

/** Runs a program on a packet. */
export function run(program: Program, data: Uint8Array, context?: Uint8Array): { returned: number; data: Uint8Array } {
  return program.test({ data, ...(context ? { context } : {}) });
}

/** Values of all CPUs together. */
export function sum(values: readonly bigint[] | null): bigint {
  return (values ?? []).reduce((total, each) => total + each, 0n);
}
