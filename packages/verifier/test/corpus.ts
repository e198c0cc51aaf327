/**
 * @module
 * Real programs as a fuzzer's seeds: linked, without types, with their maps.
 */
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

/** One to three small changes: registers, numbers, offsets, operations, instructions lost, doubled or exchanged. */
export function mutate(random: Random, program: FuzzProgram): FuzzProgram {
  const instructions = [...program.instructions];
  const maps = new Map(program.maps);
  const count = random.chance(70) ? 1 : 2;
  for (let i = 0; i < count; i++) {
    const at = random.below(instructions.length);
    const insn = instructions[at];
    if (insn === undefined) continue;
    switch (random.below(9)) {
      case 0:
        instructions[at] = { ...insn, dst: random.below(11) };
        break;
      case 1:
        if (insn.opcode !== 0x18 && insn.opcode !== 0x85) instructions[at] = { ...insn, src: random.below(11) };
        break;
      case 2:
      case 3:
        if (insn.opcode !== 0x18 || !maps.has(at)) instructions[at] = { ...insn, imm: random.pick(numbers) };
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
        if (insn.opcode !== 0x18 && insn.opcode !== 0x95)
          instructions[at] = { opcode: 0xbf, dst: 6, src: 6, offset: 0, imm: 0 };
        break;
      case 7: {
        const other = random.below(instructions.length);
        const moved = instructions[other];
        if (moved === undefined || moved.opcode === 0x18 || insn.opcode === 0x18) break;
        instructions[at] = moved;
        if (random.chance(50)) instructions[other] = insn;
        break;
      }
      default:
        if (maps.has(at) && maps.size > 1) {
          const other = random.pick([...maps.values()]);
          const own = maps.get(at);
          if (own !== undefined && (own.offset === null) === (other.offset === null)) maps.set(at, other);
        } else instructions[at] = { ...insn, imm: insn.imm ^ (1 << random.below(32)) };
    }
  }
  return { ...program, instructions, maps };
}
