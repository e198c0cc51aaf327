import { essentialName } from "../btf/flavor.ts";
import { resolveType } from "../btf/query.ts";
import type { ElfSection } from "../elf/read.ts";
import { ObjectError } from "../errors.ts";
import type { MapSpec } from "../spec.ts";
import { MAP_FLAGS } from "./map-types.ts";
import type { MapContext } from "./read-maps.ts";

/** One map per variable of a `.struct_ops` section. */
export function readStructOps(context: MapContext, section: ElfSection): MapSpec[] {
  const { btf } = context;
  const described = btf?.sections.get(section.name);
  if (btf === null || described === undefined) {
    throw new ObjectError("map", "struct_ops without type information", { section: section.name });
  }
  const relocations = context.elf.relocations.get(section.index) ?? [];
  return described.type.variables.map(({ typeId, offset, size }) => {
    const variable = btf.view.get(typeId);
    const struct = variable?.kind === "var" ? resolveType(btf.view, variable.typeId) : null;
    if (variable?.kind !== "var" || struct?.kind !== "struct")
      throw new ObjectError("map", "a struct_ops is no struct", { section: section.name, offset });
    if (offset + size > section.size)
      throw new ObjectError("map", `${variable.name} lies outside`, { section: section.name, offset });
    const programs = relocations
      .filter((relocation) => relocation.offset >= offset && relocation.offset < offset + size)
      .map((relocation) => {
        const at = relocation.offset - offset;
        const member = struct.members.find(({ bitOffset }) => bitOffset === at * 8);
        const program = context.functionAt(relocation.symbol);
        if (member === undefined || program === null) {
          throw new ObjectError("relocation", `${relocation.symbol.name} is no program of ${variable.name}`, {
            section: section.name,
            offset: relocation.offset,
          });
        }
        return { member: member.name, offset: at, program };
      });
    return structOpsMap({
      name: variable.name,
      section: section.name,
      typeName: essentialName(struct.name),
      typeId: variable.typeId,
      contents: section.data.slice(offset, offset + size),
      programs,
    });
  });
}

/** The map of a struct_ops. The kernel's size of the value is only known to a loader; here it is the object's. */
function structOpsMap(input: {
  name: string;
  section: string;
  typeName: string;
  typeId: number;
  contents: Uint8Array;
  programs: NonNullable<MapSpec["structOps"]>["programs"];
}): MapSpec {
  const { name, section, typeName, typeId, contents, programs } = input;
  return {
    name,
    type: "struct_ops",
    keySize: 4,
    valueSize: contents.length,
    maxEntries: 1,
    flags: section.endsWith(".link") ? MAP_FLAGS.link : 0,
    valueTypeId: typeId,
    pinning: "none",
    data: { contents, readOnly: false, variables: [{ name, offset: 0, size: contents.length, typeId }] },
    structOps: { section, typeName, programs },
  };
}
