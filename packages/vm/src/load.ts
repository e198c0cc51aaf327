/** @module From an object's spec to code: data sections, relocations, addresses of maps, helpers that have to be there. */
import { helperById, pseudoCall } from "@skep/isa";
import type { Instruction } from "@skep/isa";
import { CORE_KINDS, linkProgram, relocate } from "@skep/object";
import type { BtfTypes, BtfView, LinkedProgram, ObjectSpec } from "@skep/object";
import { prepare } from "./code.ts";
import type { Code } from "./code.ts";
import { LoadError, UnsupportedError } from "./error.ts";
import { ArrayMap } from "./maps/array.ts";
import { ArenaMap } from "./maps/other.ts";
import type { VmMap } from "./maps/map.ts";

export type Variables = Readonly<Record<string, number | bigint | boolean | Uint8Array>>;

/** The data sections' bytes with the variables of `config` set, by map. */
export function fillSections(spec: ObjectSpec, config: Variables): ReadonlyMap<string, Uint8Array> {
  const contents = new Map<string, Uint8Array>();
  const places = new Map<string, { bytes: Uint8Array; offset: number; size: number }>();
  for (const [name, map] of Object.entries(spec.maps)) {
    if (map.data === undefined || map.type === "struct_ops") continue;
    const bytes = map.data.contents.slice();
    contents.set(name, bytes);
    for (const { name: variable, offset, size } of map.data.variables) places.set(variable, { bytes, offset, size });
  }
  for (const [variable, value] of Object.entries(config)) {
    const place = places.get(variable);
    if (place === undefined) throw new LoadError(`config ${variable}: the object has no such variable`);
    place.bytes.set(variableBytes(variable, value, place.size), place.offset);
  }
  return contents;
}

function variableBytes(name: string, value: number | bigint | boolean | Uint8Array, size: number): Uint8Array {
  if (value instanceof Uint8Array) {
    if (value.length !== size) throw new LoadError(`config ${name}: ${value.length} bytes instead of ${size}`);
    return value;
  }
  const whole = BigInt(value);
  const limit = 1n << BigInt(size * 8);
  if (size > 8 || whole < -(limit / 2n) || whole >= limit) {
    throw new LoadError(`config ${name}: ${value} does not fit ${size} bytes`);
  }
  const out = new DataView(new ArrayBuffer(8));
  out.setBigUint64(0, BigInt.asUintN(64, whole), true);
  return new Uint8Array(out.buffer, 0, size);
}

export interface LinkPlace {
  readonly name: string;
  readonly maps: Readonly<Record<string, VmMap>>;
  readonly kernelTypes: BtfTypes | BtfView | undefined;
  readonly contextBytes: number;
  readonly packetMembers: readonly number[];
  readonly probes: boolean;
  readonly hasHelper: (id: number) => boolean;
  /** Number of a kernel function, null where the machine does not have it. */
  readonly kernelFunction: (name: string) => number | null;
  /** Address of a kernel symbol, null where there is none. */
  readonly kernelSymbol: (name: string) => number | null;
}

/** Throws `LoadError`, `UnsupportedError`. */
export function linkCode(spec: ObjectSpec, place: LinkPlace): Code {
  const linked = linkedFor(spec, place);
  const addresses = new Map<number, number>();
  const functions = new Map<number, number>();
  for (const reference of linked.references) {
    if (reference.kind === "kfunc") {
      const number = place.kernelFunction(reference.name);
      if (number === null && !reference.weak) throw new UnsupportedError(place.name, reference.name);
      functions.set(reference.at, number ?? -1);
    } else addresses.set(reference.at, addressOf(reference, place));
  }
  const instructions = linked.instructions.map((insn, at): Instruction => {
    const number = functions.get(at);
    return number === undefined || insn.src !== pseudoCall.kfunc ? insn : { ...insn, imm: number };
  });
  for (const insn of instructions) checkHelper(insn, place);
  const { name, contextBytes, packetMembers } = place;
  const probes = place.probes || walksObjects(linked);
  return prepare(instructions, {
    name,
    addresses,
    lines: linked.lines,
    contextBytes,
    packetMembers,
    probes,
    types: spec.btf,
  });
}

interface Linked {
  readonly functions: ObjectSpec["functions"];
  readonly kernelTypes: LinkPlace["kernelTypes"];
  readonly program: LinkedProgram;
}

/** What was linked last of a program, for as long as somebody holds it: many machines may load one object. */
const linkedLast = new WeakMap<object, Linked>();

function linkedFor(spec: ObjectSpec, { name, kernelTypes }: LinkPlace): LinkedProgram {
  const key = spec.programs[name];
  const last = key === undefined ? undefined : linkedLast.get(key);
  if (last !== undefined && last.functions === spec.functions && last.kernelTypes === kernelTypes) return last.program;
  const program = relocated(spec, linkProgram(spec, name), kernelTypes);
  if (key !== undefined) linkedLast.set(key, { functions: spec.functions, kernelTypes, program });
  return program;
}

/** bpf_get_current_task_btf, bpf_skc_to_*: pointers to the kernel's objects, in programs of any type. */
const WALKING_HELPERS: ReadonlySet<number> = new Set([136, 137, 138, 139, 140, 158, 162, 175, 178, 196]);
const WALKING_FUNCTIONS =
  /^bpf_(?:task_|cgroup_|cpumask_|obj_|percpu_obj_|refcount_|rbtree_|list_|rdonly_cast|cast_to_kern_ctx|iter_(?!num_|bits_))/;

/**
 * The program follows pointers through kernel objects, or through its own that may be gone: the verifier lets it, since a miss reads 0; so do loads
 * through an arena's pointers. */
function walksObjects(linked: LinkedProgram): boolean {
  return (
    linked.references.some((each) => each.kind === "kfunc" && WALKING_FUNCTIONS.test(each.name)) ||
    linked.instructions.some(
      ({ opcode, src, imm, offset }) =>
        // addr_space_cast
        (opcode === 0xbf && offset === 1) || (opcode === 0x85 && src === pseudoCall.helper && WALKING_HELPERS.has(imm)),
    )
  );
}

function addressOf(
  reference: Exclude<LinkedProgram["references"][number], { kind: "kfunc" }>,
  place: LinkPlace,
): number {
  if (reference.kind === "ksym") {
    const address = place.kernelSymbol(reference.name);
    if (address === null && !reference.weak) throw new UnsupportedError(place.name, reference.name);
    return address ?? 0;
  }
  const map = place.maps[reference.map];
  if (map === undefined)
    throw new LoadError(`${place.name} needs map ${reference.map}, which the object does not have`);
  if (reference.kind === "map") return map.handle;
  if (map instanceof ArrayMap || map instanceof ArenaMap) return map.base + reference.offset;
  throw new LoadError(`${place.name}: map ${reference.map} has no values at fixed addresses`);
}

/** Numbers that the kernel does not have either are left to the run: they stand where CO-RE found nothing. */
function checkHelper(insn: Instruction, place: LinkPlace): void {
  if (insn.opcode !== 0x85 || insn.src !== pseudoCall.helper || place.hasHelper(insn.imm)) return;
  const helper = helperById(insn.imm);
  if (helper !== null) throw new UnsupportedError(place.name, `bpf_${helper.name}`);
}

function relocated(spec: ObjectSpec, linked: LinkedProgram, target: BtfTypes | BtfView | undefined): LinkedProgram {
  if (linked.coreRelocations.length === 0) return linked;
  // The ids of the program's own types are asked of no kernel.
  if (
    target === undefined &&
    linked.coreRelocations.every(({ kind }) => CORE_KINDS[kind] === "type_id_local") &&
    spec.btf
  )
    return relocate(linked, { local: spec.btf, target: spec.btf });
  if (target === undefined || spec.btf === undefined) {
    throw new LoadError(`${linked.name} has CO-RE relocations: give the kernel's types`);
  }
  return relocate(linked, { local: spec.btf, target });
}
