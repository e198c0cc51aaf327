/**
 * @module
 * Global data: what becomes maps of one value, the values of the kernel's configuration, an arena's variables.
 */
import { alignOf, sizeOf } from "../btf/query.ts";
import type { BtfOf } from "../btf/types.ts";
import { SHT, STB, STT } from "../elf/format.ts";
import { isHidden } from "../elf/read.ts";
import type { ElfSection, ElfSymbol } from "../elf/read.ts";
import { ObjectError } from "../errors.ts";
import type { DataSection, MapSpec } from "../spec.ts";
import { MAP_FLAGS } from "./map-types.ts";
import type { MapContext } from "./read-maps.ts";
import { ARENA_SECTION, isReadOnlyData } from "./sections.ts";

/** Beyond this a data section is damage. */
const MAX_DATA = 1 << 28;
const MAX_KCONFIG = 1 << 16;
const MAX_ALIGN = 1 << 16;

/** Global variables of the object's arena; null without. */
export function readArena(context: MapContext): DataSection | null {
  const section = context.elf.sections.find(({ name }) => name === ARENA_SECTION);
  if (section === undefined || section.size === 0) return null;
  if (section.size > MAX_DATA)
    throw new ObjectError("malformed", `${section.size} bytes of data`, { section: section.name });
  const described = context.btf?.sections.get(ARENA_SECTION);
  const contents = section.type === SHT.nobits ? new Uint8Array(section.size) : section.data.slice();
  const variables = described === undefined ? [] : dataVariables(context, described.type, section);
  return { contents, align: alignOfSection(section), readOnly: false, variables };
}

function alignOfSection({ name, align }: ElfSection): number {
  if (align > MAX_ALIGN || (align & (align - 1)) !== 0)
    throw new ObjectError("malformed", `an alignment of ${align} bytes`, { section: name });
  return Math.max(align, 1);
}

export function readDataSection(context: MapContext, section: ElfSection): MapSpec {
  if (section.size > MAX_DATA)
    throw new ObjectError("malformed", `${section.size} bytes of data`, { section: section.name });
  const described = context.btf?.sections.get(section.name);
  const variables = described === undefined ? [] : dataVariables(context, described.type, section);
  const readOnly = isReadOnlyData(section.name);
  const contents = section.type === SHT.nobits ? new Uint8Array(section.size) : section.data.slice();
  return dataMap({
    name: section.name,
    data: { contents, align: alignOfSection(section), readOnly, variables },
    ...(described === undefined ? {} : { sectionId: described.id }),
  });
}

/** The map of a data section, as every loader makes it (libbpf: bpf_object__init_internal_map). */
export function dataMap(input: { name: string; data: DataSection; sectionId?: number }): MapSpec {
  const { name, data, sectionId } = input;
  const shared = data.variables.some(({ linkage, hidden }) => linkage !== "static" && hidden !== true);
  return {
    name,
    type: "array",
    keySize: 4,
    valueSize: data.contents.length,
    maxEntries: 1,
    flags: (data.readOnly ? MAP_FLAGS.readOnlyProgram : 0) | (shared ? MAP_FLAGS.mmapable : 0),
    pinning: "none",
    ...(sectionId === undefined ? {} : { valueTypeId: sectionId }),
    data,
  };
}

function dataVariables(
  context: MapContext,
  described: BtfOf<"datasec">,
  section: ElfSection,
): DataSection["variables"] {
  const symbols = new Map<string, ElfSymbol>();
  for (const symbol of context.elf.symbols) {
    if (symbol.section === section.index && symbol.type === STT.object && symbol.bind !== STB.local)
      symbols.set(symbol.name, symbol);
  }
  return described.variables.flatMap(({ typeId, offset, size }) => {
    const variable = context.btf?.view.get(typeId);
    if (variable?.kind !== "var")
      throw new ObjectError("btf", `data section ${section.name} holds a ${variable?.kind ?? "void"}`);
    if (variable.linkage === "extern") return [];
    if (offset + size > section.size) {
      throw new ObjectError("btf", `variable ${variable.name} lies outside`, { section: section.name, offset });
    }
    const isStatic = variable.linkage === "static";
    const symbol = isStatic ? undefined : symbols.get(variable.name);
    return [
      {
        name: variable.name,
        offset,
        size,
        typeId: variable.typeId,
        ...(isStatic ? { linkage: "static" as const } : {}),
        ...(symbol !== undefined && isHidden(symbol) ? { hidden: true as const } : {}),
        ...(symbol?.bind === STB.weak ? { weak: true as const } : {}),
      },
    ];
  });
}

/** The map that holds the values of `.kconfig`, laid out as libbpf does: by alignment, then size, then name. */
export function readKconfig(context: MapContext): MapSpec | null {
  const { btf } = context;
  const described = btf?.sections.get(".kconfig");
  if (btf === null || described === undefined) return null;
  const wanted = described.type.variables.flatMap(({ typeId }) => {
    const variable = btf.view.get(typeId);
    const extern = variable?.kind === "var" ? context.externs.get(variable.name) : undefined;
    if (variable?.kind !== "var" || extern === undefined) return [];
    const size = sizeOf(btf.view, variable.typeId);
    if (size === null || size > MAX_KCONFIG)
      throw new ObjectError("btf", `variable ${variable.name} has no size`, { section: ".kconfig" });
    return [
      {
        name: variable.name,
        typeId: variable.typeId,
        size,
        weak: extern.weak,
        align: alignOf(btf.view, variable.typeId),
      },
    ];
  });
  if (wanted.length === 0) return null;
  return dataMap({ name: ".kconfig", data: kconfigLayout(wanted), sectionId: described.id });
}

export interface KconfigVariable {
  readonly name: string;
  readonly typeId: number;
  readonly size: number;
  readonly align: number;
  readonly weak: boolean;
}

/** Where each variable of `.kconfig` lies; the bytes are zero. */
export function kconfigLayout(wanted: readonly KconfigVariable[]): DataSection {
  const sorted = [...wanted].sort((a, b) => b.align - a.align || a.size - b.size || (a.name < b.name ? -1 : 1));
  let end = 0;
  const variables = sorted.map(({ name, typeId, size, align, weak }) => {
    const offset = Math.ceil(end / align) * align;
    end = offset + size;
    return { name, offset, size, typeId, ...(weak ? { weak: true as const } : {}) };
  });
  return { contents: new Uint8Array(end), readOnly: true, variables };
}
