/**
 * @module
 * Real programs as a fuzzer's seeds: linked, without types, with their maps.
 */
import type { Instruction } from "@skep/isa";
import { linkProgram } from "@skep/object";
import type { MapSpec, ObjectSpec } from "@skep/object";
import type { FuzzProgram } from "./generate.ts";
import type { Random } from "./random.ts";

export interface Seed {
  readonly name: string;
  readonly program: FuzzProgram;
}

/** Programs that need no types: no CO-RE, kernel functions or symbols. Map names get the object's name before them. */
export function seedsOf(object: string, spec: ObjectSpec): { readonly seeds: Seed[]; readonly maps: MapSpec[] } {
  const named = (name: string): string => `${object}/${name}`;
  const seeds: Seed[] = [];
  for (const [name, program] of Object.entries(spec.programs)) {
    const linked = linkProgram(spec, name);
    const isPlain = linked.references.every((each) => each.kind === "map" || each.kind === "data");
    if (!isPlain || linked.coreRelocations.length > 0 || program.flags !== 0) continue;
    const maps = new Map<number, { map: string; offset: number | null }>();
    for (const each of linked.references) {
      if (each.kind === "map") maps.set(each.at, { map: named(each.map), offset: null });
      else if (each.kind === "data") maps.set(each.at, { map: named(each.map), offset: each.offset });
    }
    const { type, attachType } = program;
    seeds.push({ name: `${object}:${name}`, program: { type, attachType, instructions: linked.instructions, maps } });
  }
  const maps = Object.values(spec.maps).map((map): MapSpec => {
    const { keyTypeId, valueTypeId, values, ...rest } = map;
    void keyTypeId;
    void valueTypeId;
    void values;
    return { ...rest, name: named(map.name), pinning: "none", maxEntries: Math.min(map.maxEntries, 64) };
  });
  return { seeds, maps };
}

const numbers = [0, 1, -1, 2, 4, 7, 8, 14, 16, 20, 32, 63, 64, 255, 256, 4096, 65535, 0x7fffffff, -0x80000000];

interface Mutated {
  readonly instructions: Instruction[];
  /** What an `lddw` refers to, by its place; null: nothing is exchanged. */
  readonly maps: Map<number, { readonly map: string; readonly offset: number | null }> | null;
}

/** One or two small changes: registers, numbers, offsets, operations, instructions lost, doubled or exchanged. */
export function mutate(random: Random, program: FuzzProgram): FuzzProgram {
  const mutated = { instructions: [...program.instructions], maps: new Map(program.maps) };
  change(random, mutated);
  return { ...program, ...mutated };
}

/** The same where references are kept elsewhere. */
export function mutateInstructions(random: Random, instructions: readonly Instruction[]): readonly Instruction[] {
  const mutated = { instructions: [...instructions], maps: null };
  change(random, mutated);
  return mutated.instructions;
}

function change(random: Random, { instructions, maps }: Mutated): void {
  const count = random.chance(70) ? 1 : 2;
  for (let i = 0; i < count; i++) {
    const at = random.below(instructions.length);
    const insn = instructions[at];
    if (insn === undefined) continue;
    switch (random.below(10)) {
      case 0:
        instructions[at] = { ...insn, dst: random.below(11) };
        break;
      case 1:
        if (insn.opcode !== 0x18 && insn.opcode !== 0x85) instructions[at] = { ...insn, src: random.below(11) };
        break;
      case 2:
      case 3:
        if (isNumber(insn, maps?.has(at) ?? false)) instructions[at] = { ...insn, imm: random.pick(numbers) };
        break;
      case 4:
        instructions[at] = { ...insn, offset: insn.offset + random.pick([-8, -4, -2, -1, 1, 2, 4, 8]) };
        break;
      case 5:
        if (insn.opcode !== 0x18)
          instructions[at] = { ...insn, opcode: insn.opcode ^ random.pick([0x08, 0x10, 0x18, 0x20, 0x40, 0x03]) };
        break;
      case 6:
        // Gone: what it would do is not done.
        if (insn.opcode !== 0x18 && insn.opcode !== 0x95) instructions[at] = nothing;
        break;
      case 7:
        exchange(random, instructions, at);
        break;
      case 8: {
        // A call less.
        const calls = [...instructions.keys()].filter((each) => instructions[each]?.opcode === 0x85);
        if (calls.length > 0) instructions[random.pick(calls)] = nothing;
        break;
      }
      default:
        if (maps?.has(at) === true && maps.size > 1) exchangeMap(random, maps, at);
        else instructions[at] = { ...insn, imm: insn.imm ^ (1 << random.below(32)) };
    }
  }
}

const nothing: Instruction = { opcode: 0xbf, dst: 6, src: 6, offset: 0, imm: 0 };

/** The immediate is a number, not what a map or function is called by. */
function isNumber(insn: Instruction, isMap: boolean): boolean {
  return !isMap && (insn.opcode !== 0x18 || insn.src === 0);
}

function exchange(random: Random, instructions: Instruction[], at: number): void {
  const insn = instructions[at];
  const other = random.below(instructions.length);
  const moved = instructions[other];
  if (insn === undefined || moved === undefined || moved.opcode === 0x18 || insn.opcode === 0x18) return;
  instructions[at] = moved;
  if (random.chance(50)) instructions[other] = insn;
}

function exchangeMap(random: Random, maps: NonNullable<Mutated["maps"]>, at: number): void {
  const other = random.pick([...maps.values()]);
  const own = maps.get(at);
  if (own !== undefined && (own.offset === null) === (other.offset === null)) maps.set(at, other);
}
