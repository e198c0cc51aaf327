/**
 * @module
 * Kernel structs whose functions are programs (bpf_struct_ops_map_update_elem, kernel/bpf/bpf_struct_ops.c).
 */
import type { Link } from "@skep/machine";
import { resolveType, sizeOf, type BtfOf, type BtfTypes, type BtfView, type MapSpec, type OpenBtf } from "@skep/object";
import { attachTypes } from "@skep/isa";
import { Attributes } from "./attributes.ts";
import { createLink } from "./attach/common.ts";
import { findKernelType, kernelTypes, moduleTypes } from "./kernel-btf.ts";
import type { LinuxMap } from "./map.ts";
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

/** The place of a program's member; what BPF_PROG_LOAD takes as its attach type. */
export function memberIndex(layout: StructOpsLayout, member: string, map: string): number {
  const index = layout.members.findIndex((each) => each.name === member);
  if (index < 0) throw new StructOpsError(`${map}: the kernel's struct has no member ${member}`);
  return index;
}

/**
 * The map's value: the object's data moved to where the kernel has its members, and the programs' descriptors. A member that the kernel does
 * not have must be zero.
 */
export function structOpsValue(
  spec: MapSpec,
  layout: StructOpsLayout,
  context: { readonly btf: BtfTypes; readonly programs: Readonly<Record<string, { readonly fd: number }>> },
): Uint8Array {
  const { structOps, data } = spec;
  const local = spec.valueTypeId === undefined ? null : resolveType(context.btf, spec.valueTypeId);
  if (!structOps || !data || local?.kind !== "struct") throw new StructOpsError(`${spec.name} has no type`);
  const types: BtfView = layout.module ? moduleTypes(layout.module) : kernelTypes();
  const value = new Uint8Array(layout.valueSize);
  const view = new DataView(value.buffer);
  for (const member of local.members) {
    const bytes = memberBytes(spec.name, member, context.btf, data.contents);
    const target = layout.members.find((each) => each.name === member.name);
    const program = structOps.programs.find((each) => each.member === member.name);
    if (program) {
      const index = memberIndex(layout, member.name, spec.name);
      const loaded = context.programs[program.program];
      if (loaded) view.setBigUint64(layout.dataOffset + offsetOf(layout.members[index]), BigInt(loaded.fd), true);
    } else if (bytes.some((byte) => byte !== 0)) {
      if (!target) throw new StructOpsError(`${spec.name}: the kernel's struct has no member ${member.name}`);
      if (sizeOf(types, target.typeId) !== bytes.byteLength)
        throw new StructOpsError(`${spec.name}: ${member.name} has another size in the kernel`);
      value.set(bytes, layout.dataOffset + offsetOf(target));
    }
  }
  return value;
}

function offsetOf(member: Struct["members"][number] | undefined): number {
  return (member?.bitOffset ?? 0) / 8;
}

function memberBytes(map: string, member: Struct["members"][number], btf: BtfTypes, contents: Uint8Array): Uint8Array {
  const size = sizeOf(btf, member.typeId);
  if (member.bitSize !== 0 || member.bitOffset % 8 !== 0 || size === null)
    throw new StructOpsError(`${map}: ${member.name} is a bit field`);
  return contents.subarray(member.bitOffset / 8, member.bitOffset / 8 + size);
}

const BPF_F_LINK = 1 << 13;

/** Registers a struct_ops map that was made with a link in mind (section `.struct_ops.link`). Closing the link takes it out. */
export function attachStructOps(map: LinuxMap): Link {
  if (map.info.type !== "struct_ops") throw new TypeError(`map ${map.info.name} is no struct_ops`);
  if ((map.info.flags & BPF_F_LINK) === 0)
    throw new NotSupportedError(`a link of ${map.info.name}`, {
      detail: "it is in force since it was loaded (section .struct_ops)",
    });
  return createLink(new Attributes().u32(0, map.fd).u32(8, attachTypes.struct_ops), `struct_ops ${map.info.name}`);
}
