/** @module Fuzzed programs through both verifiers: generated, and mutated from real ones, without and with their types. */
import { NotSupportedError, SyscallError, kernelTypes } from "@skep/linux";
import { ObjectError, type MapSpec, type ObjectSpec } from "@skep/object";
import { verifyLoaded, type LoadedProgram, type Rule } from "@skep/verifier";
import { mutate, type Seed } from "../../packages/verifier/test/corpus.ts";
import { Generator, fuzzLoaded, fuzzMaps, type FuzzProgram } from "../../packages/verifier/test/generate.ts";
import { BtfError } from "../../packages/linux/src/bpf/btf-load.ts";
import { KernelVerifier } from "../../packages/verifier/test/kernel.ts";
import { Random } from "../../packages/verifier/test/random.ts";
import { TypedObject, type TypedSeed } from "../../packages/verifier/test/typed.ts";

export type Source = "generated" | "mutated" | "typed";

/** A program on which the two do not agree. */
export interface Disagreement {
  readonly source: Source;
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

/** A program that both refused, as it is verified. */
export interface Kept {
  readonly program: LoadedProgram;
  readonly contents: ReadonlyMap<string, Uint8Array>;
}

/** One program for both. */
interface Asked {
  readonly source: Source;
  readonly loaded: LoadedProgram;
  readonly contents: ReadonlyMap<string, Uint8Array>;
  verdict(): number;
  reason(): string;
}

/** What the programs are made of. */
export interface Corpus {
  readonly seeds: readonly Seed[];
  readonly maps: readonly MapSpec[];
  /** Objects whose programs are mutated with their types. */
  readonly objects: readonly {
    readonly name: string;
    readonly spec: ObjectSpec;
    /** Written for the rules that few programs come near: half of the typed mutants are of these. */
    readonly isDirected: boolean;
  }[];
}

/** Larger programs are compared whole, among the objects: as seeds they would take all the time. */
const LARGEST = 250;

/** Refused programs that are kept for each rule, to see what happens without it. */
const KEPT = 100;

const NO_CONTENTS: ReadonlyMap<string, Uint8Array> = new Map();

export class Fuzzing {
  readonly tallies = { generated: tally(), mutated: tally(), typed: tally() };
  readonly rules = new Map<Rule, number>();
  readonly kept = new Map<Rule, Kept[]>();
  readonly disagreements = new Map<string, { readonly example: Disagreement; count: number }>();
  readonly milliseconds = { ours: 0, kernel: 0 };
  private readonly kernel: KernelVerifier;
  private readonly seeds: readonly Seed[];
  private readonly typed: { readonly directed: readonly TypedSeed[]; readonly others: readonly TypedSeed[] };
  private readonly objects: TypedObject[] = [];
  private readonly maps: readonly MapSpec[];
  private readonly generator: Generator;
  private readonly random: Random;
  private readonly types = kernelTypes();

  constructor(corpus: Corpus, seed: number) {
    this.random = new Random(seed ^ 0x5eed);
    this.generator = new Generator(seed);
    const maps = [...fuzzMaps, ...corpus.maps.filter(canBeMade)];
    this.kernel = new KernelVerifier(maps);
    this.maps = maps;
    this.seeds = corpus.seeds.filter(
      ({ program }) => program.instructions.length <= LARGEST && this.agreeOn(this.plain(program, "mutated")),
    );
    const directed = corpus.objects.filter((each) => each.isDirected);
    const others = corpus.objects.filter((each) => !each.isDirected);
    this.typed = { directed: this.openTyped(directed), others: this.openTyped(others) };
    // Programs that are written to be refused are asked about as they are.
    for (const each of this.objects.flatMap((object) => object.seeds))
      if (directed.some(({ name }) => each.name.startsWith(`${name}:`)) && !this.typed.directed.includes(each))
        this.compare(typedProgram(each));
  }

  private openTyped(objects: Corpus["objects"]): TypedSeed[] {
    const opened: TypedObject[] = [];
    for (const { name, spec } of objects) {
      const object = new TypedObject(name, spec);
      this.objects.push(object);
      opened.push(object);
      try {
        object.open();
      } catch (error) {
        // What this kernel lacks, or belongs to another object.
        const isExpected =
          error instanceof SyscallError ||
          error instanceof BtfError ||
          error instanceof NotSupportedError ||
          error instanceof ObjectError ||
          error instanceof TypeError;
        if (!isExpected) throw error;
        console.log(`${name} is no seed: ${error.message.split("\n")[0] ?? ""}`);
      }
    }
    return opened
      .flatMap((each) => each.seeds)
      .filter((each) => each.linked.instructions.length <= LARGEST && this.agreeOn(typedProgram(each)));
  }

  /** A seed is only of use where both take it as it is. */
  private agreeOn(asked: Asked): boolean {
    const names = new Set(this.maps.map((map) => map.name));
    const isKnown = asked.source === "typed" || Object.keys(asked.loaded.object.maps).every((name) => names.has(name));
    return isKnown && asked.verdict() === 0 && this.ours(asked) === null;
  }

  get seedCount(): { readonly plain: number; readonly typed: number } {
    return { plain: this.seeds.length, typed: this.typed.directed.length + this.typed.others.length };
  }

  private ours({ loaded, contents }: Asked) {
    return verifyLoaded(loaded, { kernelTypes: this.types, contents }).refusal;
  }

  private plain(program: FuzzProgram, source: Source): Asked {
    const used = new Set([...program.maps.values()].map((each) => each.map));
    const maps = this.maps.filter((map) => used.has(map.name));
    const isWhole = maps.length === used.size;
    return {
      ...{ source, loaded: fuzzLoaded(program, maps), contents: NO_CONTENTS },
      verdict: () => (isWhole ? this.kernel.verdict(program) : -1),
      reason: () => this.kernel.reason(program),
    };
  }

  /** Of ten programs five are generated, three mutated without types and two with them. */
  private next(index: number): Asked {
    const { random } = this;
    const which = index % 10;
    if (which >= 8) {
      const { directed, others } = this.typed;
      const seeds = which === 8 && directed.length > 0 ? directed : others;
      if (seeds.length > 0) return typedProgram(random.pick(seeds), random);
    }
    if (which >= 5 && this.seeds.length > 0)
      return this.plain(mutate(random, random.pick(this.seeds).program), "mutated");
    return this.plain(this.generator.next(), "generated");
  }

  run(count: number, progress: (done: number) => void): void {
    for (let i = 0; i < count; i++) {
      this.compare(this.next(i));
      if ((i + 1) % 20_000 === 0) progress(i + 1);
    }
  }

  private compare(asked: Asked): void {
    const counts = this.tallies[asked.source];
    counts.programs++;
    let started = performance.now();
    const errno = asked.verdict();
    this.milliseconds.kernel += performance.now() - started;
    started = performance.now();
    const refusal = this.ours(asked);
    this.milliseconds.ours += performance.now() - started;
    if (refusal !== null) this.rules.set(refusal.rule, (this.rules.get(refusal.rule) ?? 0) + 1);
    if (errno === 0 && refusal === null) counts.bothAccept++;
    else if (errno !== 0 && refusal !== null) {
      counts.bothRefuse++;
      this.keep(refusal.rule, asked);
    } else {
      if (refusal === null) counts.onlyWeAccept++;
      else counts.onlyKernelAccepts++;
      this.note(asked, refusal === null ? null : `${refusal.rule}: ${refusal.reason}`);
    }
  }

  private keep(rule: Rule, { loaded, contents }: Asked): void {
    const kept = this.kept.get(rule) ?? [];
    if (kept.length < KEPT) kept.push({ program: loaded, contents });
    this.kept.set(rule, kept);
  }

  private note(asked: Asked, ours: string | null): void {
    const kernel = ours === null ? lastLine(asked.reason()) : null;
    const key = (ours === null ? `kernel: ${kernel ?? ""}` : `ours: ${ours}`).replaceAll(/-?\d+/g, "N");
    if (ours === null) console.log(`accepted: ${asked.loaded.program.name}, ${asked.source}: ${kernel ?? ""}`);
    const known = this.disagreements.get(key);
    if (known === undefined) this.disagreements.set(key, { example: { source: asked.source, ours, kernel }, count: 1 });
    else known.count++;
  }

  close(): void {
    this.kernel.close();
    for (const each of this.objects) each.close();
  }
}

/** A typed seed, or with `random` a mutant of it. */
function typedProgram(seed: TypedSeed, random?: Random): Asked {
  const program = random === undefined ? seed.original : seed.mutant(random);
  return {
    ...{ source: "typed", loaded: seed.loaded(program), contents: seed.contents },
    verdict: () => seed.verdict(program),
    reason: () => seed.reason(program),
  };
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
