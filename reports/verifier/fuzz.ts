/** @module Fuzzed programs through both verifiers: generated, and mutated from real ones. */
import { SyscallError, kernelTypes } from "@skep/linux";
import type { MapSpec } from "@skep/object";
import { verifyLoaded, type LoadedProgram, type Rule } from "@skep/verifier";
import { mutate, type Seed } from "../../packages/verifier/test/corpus.ts";
import { Generator, fuzzLoaded, fuzzMaps, type FuzzProgram } from "../../packages/verifier/test/generate.ts";
import { KernelVerifier } from "../../packages/verifier/test/kernel.ts";
import { Random } from "../../packages/verifier/test/random.ts";

/** A program on which the two do not agree. */
export interface Disagreement {
  readonly source: "generated" | "mutated";
  readonly ours: string | null;
  readonly kernel: string | null;
}

export interface Tally {
  programs: number;
  bothAccept: number;
  bothRefuse: number;
  onlyWeAccept: number;
  onlyKernelAccepts: number;
}

const tally = (): Tally => ({ programs: 0, bothAccept: 0, bothRefuse: 0, onlyWeAccept: 0, onlyKernelAccepts: 0 });

/** Larger programs are compared whole, among the objects: as seeds they would take all the time. */
const LARGEST = 250;

/** Refused programs that are kept for each rule, to see what happens without it. */
const KEPT = 25;

export class Fuzzing {
  readonly tallies = { generated: tally(), mutated: tally() };
  readonly rules = new Map<Rule, number>();
  readonly kept = new Map<Rule, LoadedProgram[]>();
  readonly disagreements = new Map<string, { readonly example: Disagreement; count: number }>();
  readonly milliseconds = { ours: 0, kernel: 0 };
  private readonly kernel: KernelVerifier;
  private readonly seeds: readonly Seed[];
  private readonly maps: readonly MapSpec[];
  private readonly generator: Generator;
  private readonly random: Random;
  private readonly types = kernelTypes();

  constructor(corpus: { readonly seeds: readonly Seed[]; readonly maps: readonly MapSpec[] }, seed: number) {
    this.random = new Random(seed ^ 0x5eed);
    this.generator = new Generator(seed);
    const maps = [...fuzzMaps, ...corpus.maps.filter(canBeMade)];
    this.kernel = new KernelVerifier(maps);
    this.maps = maps;
    this.seeds = corpus.seeds.filter(
      (each) => each.program.instructions.length <= LARGEST && this.agreeOn(each.program),
    );
  }

  /** A seed is only of use where both take it as it is. */
  private agreeOn(program: FuzzProgram): boolean {
    const names = new Set(this.maps.map((map) => map.name));
    if ([...program.maps.values()].some((each) => !names.has(each.map))) return false;
    return this.kernel.verdict(program) === 0 && this.ours(program).refusal === null;
  }

  get seedCount(): number {
    return this.seeds.length;
  }

  private ours(program: FuzzProgram) {
    return verifyLoaded(this.loaded(program), { kernelTypes: this.types });
  }

  private loaded(program: FuzzProgram): LoadedProgram {
    const used = new Set([...program.maps.values()].map((each) => each.map));
    return fuzzLoaded(
      program,
      this.maps.filter((map) => used.has(map.name)),
    );
  }

  run(count: number, progress: (done: number) => void): void {
    for (let i = 0; i < count; i++) {
      const mutates = this.seeds.length > 0 && i % 5 >= 3;
      const program = mutates ? mutate(this.random, this.random.pick(this.seeds).program) : this.generator.next();
      this.compare(program, mutates ? "mutated" : "generated");
      if ((i + 1) % 20_000 === 0) progress(i + 1);
    }
  }

  private compare(program: FuzzProgram, source: "generated" | "mutated"): void {
    const counts = this.tallies[source];
    counts.programs++;
    let started = performance.now();
    const errno = this.kernel.verdict(program);
    this.milliseconds.kernel += performance.now() - started;
    started = performance.now();
    const { refusal } = this.ours(program);
    this.milliseconds.ours += performance.now() - started;
    if (refusal !== null) this.rules.set(refusal.rule, (this.rules.get(refusal.rule) ?? 0) + 1);
    if (errno === 0 && refusal === null) counts.bothAccept++;
    else if (errno !== 0 && refusal !== null) {
      counts.bothRefuse++;
      this.keep(refusal.rule, program);
    } else {
      if (refusal === null) counts.onlyWeAccept++;
      else counts.onlyKernelAccepts++;
      this.note(program, { source, ours: refusal === null ? null : `${refusal.rule}: ${refusal.reason}` });
    }
  }

  private keep(rule: Rule, program: FuzzProgram): void {
    const kept = this.kept.get(rule) ?? [];
    if (kept.length < KEPT) kept.push(this.loaded(program));
    this.kept.set(rule, kept);
  }

  private note(program: FuzzProgram, rest: Pick<Disagreement, "source" | "ours">): void {
    const kernel = rest.ours === null ? lastLine(this.kernel.reason(program)) : null;
    const key = (rest.ours === null ? `kernel: ${kernel ?? ""}` : `ours: ${rest.ours}`).replaceAll(/-?\d+/g, "N");
    const known = this.disagreements.get(key);
    if (known === undefined) this.disagreements.set(key, { example: { ...rest, kernel }, count: 1 });
    else known.count++;
  }

  close(): void {
    this.kernel.close();
  }
}

/** Maps that the kernel makes without types and with plain descriptors. */
function canBeMade(map: MapSpec): boolean {
  try {
    const probe = new KernelVerifier([map]);
    probe.close();
    return true;
  } catch (error) {
    if (error instanceof SyscallError || error instanceof Error) return false;
    throw error;
  }
}

function lastLine(log: string): string {
  const lines = log
    .trim()
    .split("\n")
    .filter((line) => !/^(processed|verification time|stack depth|max_states)/.test(line));
  return lines.at(-1) ?? "";
}
