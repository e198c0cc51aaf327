/**
 * @module
 * Kernel structs whose functions are programs (bpf_struct_ops_map_update_elem, kernel/bpf/bpf_struct_ops.c).
 */
import type { Link } from "@skep/machine";
import { resolveType, sizeOf, type BtfOf, type BtfTypes, type BtfView, type MapSpec, type OpenBtf } from "@skep/object";
import { attachTypes } from "@skep/isa";
import { isErrno } from "../sys/index.ts";
import { Attributes } from "./attributes.ts";
import { createLink } from "./attach/common.ts";
import { findKernelType, kernelTypes, moduleTypes } from "./kernel-btf.ts";
import type { LinuxMap } from "./map.ts";
import { ManualLink } from "./manual-link.ts";
import { NotSupportedError } from "./not-supported.ts";

/** The object's struct does not suit the kernel's. */
export class StructOpsError extends Error {
  override readonly name = "StructOpsError";
}

type Struct = BtfOf<"struct" | "union">;

/** The kernel's side of a struct_ops map. */
export interface StructOpsLayout {
  /** The kernel's struct, such as tcp_congestion_ops. */
  readonly typeId: number;
  /** The map's value: a header, then the struct. */
  readonly valueTypeId: number;
  readonly valueSize: number;
  /** Where the struct lies in the value. */
  readonly dataOffset: number;
  readonly module: string | null;
  /** Members in the kernel's order: what a program's attach type numbers. */
  readonly members: Struct["members"];
}

/** Throws `NotSupportedError` where the kernel has no such struct_ops. */
export function structOpsLayout(typeName: string): StructOpsLayout {
  const wrapper = findKernelType(`bpf_struct_ops_${typeName}`, "struct");
  const types: OpenBtf = wrapper?.module ? moduleTypes(wrapper.module) : kernelTypes();
  const value = wrapper ? types.get(wrapper.id) : null;
  const data = value?.kind === "struct" ? value.members.find((member) => member.name === "data") : undefined;
  const struct = data ? types.get(data.typeId) : null;
  if (!wrapper || value?.kind !== "struct" || !data || struct?.kind !== "struct")
    throw new NotSupportedError(`struct_ops ${typeName}`, { detail: "the kernel's types do not have it" });
  return {
    typeId: data.typeId,
    valueTypeId: wrapper.id,
    valueSize: value.size,
    dataOffset: data.bitOffset / 8,
    module: wrapper.module,
    members: struct.members,
  };
}

/** The place of a program's member; what BPF_PROG_LOAD takes as its attach type. Null where the kernel's struct has no such member. */
export function memberIndex(layout: StructOpsLayout, member: string): number | null {
  const index = layout.members.findIndex((each) => each.name === member);
  return index < 0 ? null : index;
}

/** What a map's value is made of. */
export interface StructOpsContext {
  readonly btf: BtfTypes;
  readonly programs: Readonly<Record<string, { readonly fd: number }>>;
}

/**
 * The map's value: the object's data moved to where the kernel has its members, and the programs' descriptors. A member that the kernel
 * does not have must be zero; a program there is left out (libbpf: bpf_map__init_kern_struct_ops).
 */
export function structOpsValue(spec: MapSpec, layout: StructOpsLayout, context: StructOpsContext): Uint8Array {
  const { structOps, data } = spec;
  const local = spec.valueTypeId === undefined ? null : resolveType(context.btf, spec.valueTypeId);
  if (!structOps || !data || local?.kind !== "struct") throw new StructOpsError(`${spec.name} has no type`);
  const value = new Uint8Array(layout.valueSize);
  const view = new DataView(value.buffer);
  for (const member of local.members) {
    const bytes = memberBytes(spec.name, member, context.btf, data.contents);
    const target = layout.members.find((each) => each.name === member.name);
    if (!target) {
      if (isZero(bytes)) continue;
      throw new StructOpsError(`${spec.name}: the kernel's struct has no member ${member.name}`);
    }
    const place = layout.dataOffset + target.bitOffset / 8;
    checkMember(spec.name, { member, target }, { local: context.btf, kernel: typesOf(layout) });
    const program = structOps.programs.find((each) => each.member === member.name);
    const loaded = program && context.programs[program.program];
    if (loaded) view.setBigUint64(place, BigInt(loaded.fd), true);
    else if (!program) value.set(bytes, place);
  }
  return value;
}

type Member = Struct["members"][number];

function typesOf(layout: StructOpsLayout): BtfView {
  return layout.module ? moduleTypes(layout.module) : kernelTypes();
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}

function checkMember(
  map: string,
  { member, target }: { readonly member: Member; readonly target: Member },
  { local, kernel }: { readonly local: BtfTypes; readonly kernel: BtfView },
): void {
  const kind = resolveType(local, member.typeId)?.kind;
  if (
    kind !== resolveType(kernel, target.typeId)?.kind ||
    sizeOf(local, member.typeId) !== sizeOf(kernel, target.typeId)
  )
    throw new StructOpsError(`${map}: ${member.name} is of another type in the kernel`);
}

function memberBytes(map: string, member: Member, btf: BtfTypes, contents: Uint8Array): Uint8Array {
  const size = sizeOf(btf, member.typeId);
  if (member.bitSize !== 0 || member.bitOffset % 8 !== 0 || size === null)
    throw new StructOpsError(`${map}: ${member.name} is a bit field`);
  return contents.subarray(member.bitOffset / 8, member.bitOffset / 8 + size);
}

/** What maps that were loaded are registered with: the programs must still be open then. */
const values = new WeakMap<LinuxMap, () => Uint8Array>();

/** Remembers the map's value for `attachStructOps`. Throws `StructOpsError` where the struct does not suit the kernel's. */
export function prepareStructOps(
  map: LinuxMap,
  spec: MapSpec,
  given: StructOpsContext & { readonly layout: StructOpsLayout },
): void {
  const value = () => structOpsValue(spec, given.layout, given);
  value();
  values.set(map, value);
}

const BPF_F_LINK = 1 << 13;

/**
 * Registers a struct_ops map; closing the link takes it out. A map of section `.struct_ops`, for which the kernel has no link, stays
 * registered when the process ends.
 */
export function attachStructOps(map: LinuxMap): Link {
  const { info } = map;
  if (info.type !== "struct_ops") throw new TypeError(`map ${info.name} is no struct_ops`);
  const key = new Uint8Array(4);
  const isLinked = (info.flags & BPF_F_LINK) !== 0;
  const value = values.get(map);
  if (value) setOnce(map, value(), isLinked);
  if (isLinked)
    return createLink(new Attributes().u32(0, map.fd).u32(8, attachTypes.struct_ops), `struct_ops ${info.name}`);
  return new ManualLink({ type: "struct_ops", programId: 0, detach: () => void map.delete(key) });
}

/** The value can be set once; a map that had a link before has it. */
function setOnce(map: LinuxMap, value: Uint8Array, isLinked: boolean): void {
  try {
    map.set(new Uint8Array(4), value);
  } catch (error) {
    if (!isLinked || !isErrno(error, "EBUSY")) throw error;
  }
}
