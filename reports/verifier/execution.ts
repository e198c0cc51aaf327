/** @module Programs that both verifiers accept: what they compute in the kernel and in the user-space machine. */
import type { LinuxMachine } from "@skep/linux";
import type { ObjectSpec } from "@skep/object";
import { verifyLoaded } from "@skep/verifier";
import { Vm } from "@skep/vm";
import { Generator, fuzzLoaded, fuzzMaps, type FuzzProgram } from "../../packages/verifier/test/generate.ts";
import { Random } from "../../packages/verifier/test/random.ts";

export interface Execution {
  programs: number;
  runs: number;
  sameResult: number;
  mapsCompared: number;
  sameMaps: number;
  readonly differences: string[];
}

const COMPARED = ["array", "hash", ".data"];

function objectOf(program: FuzzProgram): ObjectSpec {
  const loaded = fuzzLoaded(program);
  const used = new Set([...program.maps.values()].map((each) => each.map));
  const maps = Object.fromEntries(fuzzMaps.filter((map) => used.has(map.name)).map((map) => [map.name, map]));
  const references = loaded.linked.references.filter((each) => each.kind === "map" || each.kind === "data");
  return { ...loaded.object, maps, programs: { fuzz: { ...loaded.program, references } } };
}

/** Addresses differ from machine to machine, and what nobody wrote from run to run. */
function isComparable(program: FuzzProgram): boolean {
  const { refusal, diagnostics } = verifyLoaded(fuzzLoaded(program));
  return refusal === null && diagnostics.length === 0;
}

export function compareExecution(
  linux: LinuxMachine,
  options: { readonly seed: number; readonly programs: number },
): Execution {
  const generator = new Generator(options.seed, { executable: true });
  const random = new Random(options.seed + 1);
  const result: Execution = { programs: 0, runs: 0, sameResult: 0, mapsCompared: 0, sameMaps: 0, differences: [] };
  for (let tried = 0; result.programs < options.programs && tried < options.programs * 20; tried++) {
    const program = generator.next();
    if (isComparable(program)) compare(linux, { program, random, result });
  }
  return result;
}

function compare(
  linux: LinuxMachine,
  { program, random, result }: { readonly program: FuzzProgram; readonly random: Random; readonly result: Execution },
): void {
  const spec = objectOf(program);
  let kernel;
  try {
    kernel = linux.bpf.load(spec);
  } catch (error) {
    // The verdicts are compared elsewhere.
    if (error instanceof Error) return;
    throw error;
  }
  try {
    const vm = new Vm({ clock: () => 0n, random: () => 0 });
    const own = vm.load(spec);
    const theirs = kernel.programs["fuzz"];
    const mine = own.programs["fuzz"];
    if (theirs === undefined || mine === undefined) throw new Error("no program");
    result.programs++;
    for (let round = 0; round < 2; round++) {
      const data = Uint8Array.from({ length: 64 }, () => random.below(256));
      const wanted = theirs.test({ data }).returned >>> 0;
      const got = vm.run(mine, { packet: data }).returned >>> 0;
      result.runs++;
      if (got === wanted) result.sameResult++;
      else if (result.differences.length < 20) result.differences.push(`${program.type}: ${got} instead of ${wanted}`);
    }
    for (const name of COMPARED) {
      const a = own.maps[name];
      const b = kernel.maps[name];
      if (a === undefined || b === undefined) continue;
      result.mapsCompared++;
      const text = (map: { entries(): Iterable<readonly [Uint8Array, unknown]> }) =>
        [...map.entries()].map(String).sort().join("\n");
      if (text(a) === text(b)) result.sameMaps++;
      else if (result.differences.length < 20) result.differences.push(`map ${name}: other contents`);
    }
  } finally {
    kernel.close();
  }
}
