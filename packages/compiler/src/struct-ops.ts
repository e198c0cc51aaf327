/**
 * @module
 * A kernel structure of functions as a map of type `struct_ops`: the structure as this object has it, which the loader moves to where the
 * kernel has its members.
 */
import type { MapSpec } from "@skep/object";
import type { ModuleTypes } from "./btf.ts";
import { alignOf } from "./types.ts";
import type { StructOpsDecl, StructOpsMember } from "./values.ts";

/** BPF_F_LINK. */
const LINK = 1 << 13;
const SECTION = ".struct_ops.link";
const POINTER = 8;

interface Placed {
  readonly member: StructOpsMember;
  readonly offset: number;
}

function place(members: readonly StructOpsMember[]): { placed: Placed[]; size: number } {
  let end = 0;
  const placed = members.map((member) => {
    const isProgram = "program" in member;
    const align = isProgram ? POINTER : alignOf(member.type);
    const offset = Math.ceil(end / align) * align;
    end = offset + (isProgram ? POINTER : member.bytes.length);
    return { member, offset };
  });
  return { placed, size: Math.ceil(end / POINTER) * POINTER };
}

/** A pointer to a function: its type is the kernel's matter. */
function functionPointer({ btf }: ModuleTypes): number {
  return btf.pointer(btf.funcProto(0, []));
}

export function structOpsSpec(decl: StructOpsDecl, types: ModuleTypes): MapSpec {
  const { placed, size } = place(decl.members);
  const contents = new Uint8Array(size);
  for (const { member, offset } of placed) if (!("program" in member)) contents.set(member.bytes, offset);
  const members = placed.map(({ member, offset }) => ({
    name: member.name,
    typeId: "program" in member ? functionPointer(types) : types.idOf(member.type),
    bitOffset: offset * 8,
  }));
  const typeId = types.btf.struct(decl.typeName, members, { size });
  const programs = placed.flatMap(({ member, offset }) =>
    "program" in member ? [{ member: member.name, offset, program: member.program.name }] : [],
  );
  return {
    name: decl.name,
    type: "struct_ops",
    keySize: 4,
    valueSize: size,
    maxEntries: 1,
    flags: LINK,
    valueTypeId: typeId,
    pinning: "none",
    data: { contents, readOnly: false, variables: [{ name: decl.name, offset: 0, size, typeId }] },
    structOps: { section: SECTION, typeName: decl.typeName, programs },
  };
}
