/** Programs that nobody has verified, in the interpreter and compiled with checks: each is to give the same or to be stopped at the same place. */
import type { ObjectSpec } from "@skep/object";
import { mutate } from "../../verifier/test/corpus.ts";
import { Generator, fuzzLoaded, fuzzMaps, type FuzzProgram } from "../../verifier/test/generate.ts";
import { Random } from "../../verifier/test/random.ts";
import { LoadError, Vm, VmError, type EngineName, type VmObject } from "../src/index.ts";

export interface Unverified {
  /** Runs whose ends were compared, and how many of them were stopped. */
  runs: number;
  stopped: number;
  readonly differences: string[];
}

const COMPARED = ["array", "hash", ".data"];
const SIDES: readonly EngineName[] = ["interpreter", "checked"];

function objectOf(program: FuzzProgram): ObjectSpec {
  const loaded = fuzzLoaded(program);
  const used = new Set([...program.maps.values()].map((each) => each.map));
  const maps = Object.fromEntries(fuzzMaps.filter((map) => used.has(map.name)).map((map) => [map.name, map]));
  const references = loaded.linked.references.filter((each) => each.kind === "map" || each.kind === "data");
  return { ...loaded.object, maps, programs: { fuzz: { ...loaded.program, references } } };
}

function outcome(vm: Vm, object: VmObject, packet: Uint8Array): { text: string; isStopped: boolean } {
  const program = object.programs["fuzz"];
  if (program === undefined) throw new Error("no program");
  try {
    const { r0, packet: left } = vm.run(program, { packet });
    return { text: `${r0} ${left.join()} ${contents(object)}`, isStopped: false };
  } catch (error) {
    if (!(error instanceof VmError)) throw error;
    // Loops are counted in other units.
    const text = error.kind === "budget" ? "budget" : `${error.kind} at ${error.index} ${contents(object)}`;
    return { text, isStopped: true };
  }
}

function contents(object: VmObject): string {
  return COMPARED.map((name) => [...(object.maps[name]?.entries() ?? [])].map(String).sort().join(";")).join("|");
}

/** Programs of the verifier's generator, most of them damaged. */
export function compareUnverified(options: { readonly seed: number; readonly programs: number }): Unverified {
  const generator = new Generator(options.seed, { executable: true });
  const random = new Random(options.seed + 1);
  const result: Unverified = { runs: 0, stopped: 0, differences: [] };
  for (let tried = 0; tried < options.programs; tried++) {
    let program = generator.next();
    for (let i = random.below(4); i > 0; i--) program = mutate(random, program);
    const packets = [0, 1].map(() => Uint8Array.from({ length: 64 }, () => random.below(256)));
    const found = SIDES.map((engine) => outcomes(engine, program, packets));
    const [one = [], two = []] = found;
    one.forEach((each, round) => {
      result.runs++;
      if (each.isStopped) result.stopped++;
      if (each.text === two[round]?.text) return;
      result.differences.push(
        `${tried}, round ${round}: ${each.text.slice(0, 200)}; ${two[round]?.text.slice(0, 200)}`,
      );
    });
  }
  return result;
}

function outcomes(
  engine: EngineName,
  program: FuzzProgram,
  packets: readonly Uint8Array[],
): ReturnType<typeof outcome>[] {
  const vm = new Vm({ clock: () => 0n, random: () => 0, engine, budget: 20_000 });
  try {
    const object = vm.load(objectOf(program));
    return packets.map((packet) => outcome(vm, object, packet));
  } catch (error) {
    if (!(error instanceof LoadError)) throw error;
    return [];
  }
}
