/**
 * @module
 * How the tests of this folder get at its programs: compiled from their files, loaded with the types of their modules.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { compile, formatDiagnostic } from "@skep/compiler";
import { load, type App, type AppOptions, type Program } from "@skep/machine";
import type { ObjectSpec } from "@skep/object";
import { enableStatistics, type LinuxBpf } from "@skep/linux";

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

/**
 * Modules whose programs a kernel may refuse, and why. Their tests load and attach what the kernel takes, and show the refusal of the rest;
 * every program of all others is run.
 */
export const MAY_BE_REFUSED: Readonly<Record<string, string>> = {
  "kernel-functions": "no kprobe event source (CONFIG_KPROBE_EVENTS), or no trampolines for fentry, fexit and fmod_ret",
  security: "no BPF LSM, or no trampolines",
  replace: "programs of type ext refused by the kernel's policy",
};

interface Runs {
  readonly name: string;
  refresh(): { readonly runCount: bigint };
}

/** Stages that a tail call reaches: the kernel counts their runs for the program that makes it. */
const TAIL_CALLED: ReadonlySet<string> = new Set(["xdp-chain: ipv4", "xdp-chain: tcp", "xdp-chain: udp"]);

/** What is open during a test: closed by `closeAll`, last first. */
export class Corpus {
  readonly bpf: LinuxBpf;
  #open: { close(): void }[] = [];
  /** By module and program: whether the kernel has run it, as the kernel counts. */
  readonly #hasRun: Map<string, boolean>;
  #watched: (readonly [module: string, programs: readonly Runs[]])[] = [];

  /** `other`: what this one runs counts there, too. */
  constructor(bpf: LinuxBpf, other?: Corpus) {
    this.bpf = bpf;
    this.#hasRun = other ? other.#hasRun : new Map<string, boolean>();
  }

  keep<T extends { close(): void }>(thing: T): T {
    this.#open.push(thing);
    return thing;
  }

  load<M extends object>(name: string, module: M, options: AppOptions<M> = {}): App<M> {
    if (this.#open.length === 0) this.keep(enableStatistics());
    const app = this.keep(load({ bpf: this.bpf }, specOf(name), { ...options, module }));
    this.watch(name, app.collection);
    return app;
  }

  /** Notes at the end of the test which programs have run. */
  watch(module: string, collection: { readonly programs: Readonly<Record<string, unknown>> }): void {
    this.#watched.push([module, Object.values(collection.programs) as Runs[]]);
  }

  /** Programs that were loaded, and that the kernel has never run. */
  neverRun(): string[] {
    return [...this.#hasRun].flatMap(([name, ran]) => (ran || TAIL_CALLED.has(name) ? [] : [name])).sort();
  }

  closeAll(): void {
    for (const [module, programs] of this.#watched.splice(0)) {
      for (const program of programs) {
        const key = `${module}: ${program.name}`;
        this.#hasRun.set(key, this.#hasRun.get(key) === true || program.refresh().runCount > 0n);
      }
    }
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
