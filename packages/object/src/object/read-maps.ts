import { essentialName } from "../btf/flavor.ts";
import { alignOf, resolveType, sizeOf } from "../btf/query.ts";
import type { BtfOf } from "../btf/types.ts";
import { R_BPF, SHN, SHT, STB, STT } from "../elf/format.ts";
import { isHidden } from "../elf/read.ts";
import type { ElfFile, ElfSection, ElfSymbol } from "../elf/read.ts";
import { ByteReader } from "../bytes.ts";
import { ObjectError } from "../errors.ts";
import type { DataSection, MapSpec } from "../spec.ts";
import { parseMapDefinition } from "./map-def.ts";
import { MAP_FLAGS, mapTypeName } from "./map-types.ts";
import type { ExternSymbol, ObjectTypes } from "./read-btf.ts";
import { ARENA_SECTION, isDataSection, isReadOnlyData, isStructOpsSection } from "./sections.ts";

/** Beyond this a data section is damage. */
const MAX_DATA = 1 << 28;
const MAX_KCONFIG = 1 << 16;
const MAX_ALIGN = 1 << 16;

export interface ReadMaps {
  readonly maps: Readonly<Record<string, MapSpec>>;
  readonly places: MapPlaces;
}

/** Where the variables of the maps lie. */
export class MapPlaces {
  private readonly names = new Map<string, string>();

  /** The map whose variable begins there; null where none does. */
  at(section: number, offset: number): string | null {
    return this.names.get(`${section}:${offset}`) ?? null;
  }

  add(section: ElfSection, offset: number, name: string): void {
    if (this.at(section.index, offset) !== null) {
      throw new ObjectError("map", "two maps at one place", { section: section.name, offset });
    }
    this.names.set(`${section.index}:${offset}`, name);
  }
}

export interface MapContext {
  readonly elf: ElfFile;
  readonly btf: ObjectTypes | null;
  readonly externs: ReadonlyMap<string, ExternSymbol>;
  /** Name of the program or function at a symbol; null where there is none. */
  readonly functionAt: (symbol: ElfSymbol) => string | null;
}

/** Every map of the object: `.maps`, data sections, `.kconfig`, `.struct_ops`. Throws `ObjectError`. */
export function readMaps(context: MapContext): ReadMaps {
  const all: MapSpec[] = [];
  const places = new MapPlaces();
  readDefinedMaps(context, all, places);
  for (const section of context.elf.sections) {
    if (isLegacyMapSection(section.name)) all.push(...readLegacyMaps(context.elf, section, places));
  }
  for (const section of context.elf.sections) {
    const hasData = section.type === SHT.progbits || section.type === SHT.nobits;
    if (hasData && section.size > 0 && isDataSection(section.name)) all.push(readDataSection(context, section));
    if (section.type === SHT.progbits && isStructOpsSection(section.name)) all.push(...readStructOps(context, section));
  }
  const kconfig = readKconfig(context);
  if (kconfig !== null) all.push(kconfig);
  const maps = new Map<string, MapSpec>();
  for (const map of all) {
    if (maps.has(map.name)) throw new ObjectError("map", `there are two maps ${map.name}`);
    maps.set(map.name, map);
  }
  return { maps: Object.fromEntries(maps), places };
}

interface DefinedMap {
  readonly spec: MapSpec;
  readonly offset: number;
  /** Where the initial values start in the section; null where the map has none. */
  readonly valuesAt: number | null;
  readonly end: number;
}

/** Section `.maps`. */
function readDefinedMaps(context: MapContext, all: MapSpec[], places: MapPlaces): void {
  const { elf, btf, externs } = context;
  const section = elf.sections.find(({ name }) => name === ".maps");
  const described = btf?.sections.get(".maps");
  if (section !== undefined && section.size > 0 && (btf === null || described === undefined)) {
    throw new ObjectError("map", "maps without type information", { section: ".maps" });
  }
  if (btf === null || described === undefined) return;
  const defined: DefinedMap[] = [];
  for (const { typeId, offset } of described.type.variables) {
    const variable = btf.view.get(typeId);
    if (variable?.kind !== "var")
      throw new ObjectError("map", `a map is a ${variable?.kind ?? "void"}`, { section: ".maps" });
    if (variable.linkage === "static")
      throw new ObjectError("map", `map ${variable.name} is static`, { section: ".maps" });
    const { spec, valuesOffset } = parseMapDefinition(btf.view, variable.typeId, variable.name);
    if (variable.linkage === "extern") {
      if (externs.has(variable.name)) all.push({ ...spec, extern: true });
      continue;
    }
    const size = sizeOf(btf.view, variable.typeId) ?? 0;
    if (section === undefined || offset + Math.max(size, 1) > section.size) {
      throw new ObjectError("map", `map ${variable.name} lies outside`, { section: ".maps", offset });
    }
    places.add(section, offset, variable.name);
    const isWeak = elf.symbols.some(
      ({ name, bind, section: index }) => bind === STB.weak && index === section.index && name === variable.name,
    );
    defined.push({
      spec: isWeak ? { ...spec, weak: true } : spec,
      offset,
      valuesAt: valuesOffset === null ? null : offset + valuesOffset,
      end: section.size,
    });
  }
  if (section === undefined) return;
  const values = readInitialValues(context, { section, defined, places });
  const arena = readArena(context);
  for (const { spec } of defined) {
    const own = values.get(spec.name);
    all.push({
      ...spec,
      ...(own === undefined ? {} : { values: own }),
      ...(arena !== null && spec.type === "arena" ? { data: arena } : {}),
    });
  }
}

/** Global variables of the object's arena; null without. */
function readArena(context: MapContext): DataSection | null {
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

type InitialValues = NonNullable<MapSpec["values"]>;

/** Pointers in the `values` of maps of maps and program arrays: by map name, ascending. */
function readInitialValues(
  context: MapContext,
  input: { section: ElfSection; defined: readonly DefinedMap[]; places: MapPlaces },
): Map<string, InitialValues> {
  const values = new Map<string, InitialValues>();
  const ascending = [...input.defined].sort((a, b) => a.offset - b.offset);
  for (const { offset, type, symbol } of context.elf.relocations.get(input.section.index) ?? []) {
    const fail = (message: string) => new ObjectError("relocation", message, { section: ".maps", offset });
    const holder = ascending.findLast((map) => map.offset <= offset);
    if (type !== R_BPF.r64_64 && type !== R_BPF.abs64 && type !== R_BPF.gnuData64) throw fail(`type ${type} in maps`);
    if (offset + 8 > input.section.size) throw fail("outside of the section");
    if (
      holder?.valuesAt === null ||
      holder === undefined ||
      offset < holder.valuesAt ||
      (offset - holder.valuesAt) % 8 !== 0
    ) {
      throw fail("not in the `values` of a map");
    }
    const target = holder.spec.inner === undefined ? context.functionAt(symbol) : mapAt(symbol, input.places);
    if (target === null) throw fail(`${symbol.name} is no ${holder.spec.inner === undefined ? "program" : "map"}`);
    const entry = { index: (offset - holder.valuesAt) / 8, name: target };
    values.set(holder.spec.name, [...(values.get(holder.spec.name) ?? []), entry]);
  }
  return values;
}

function mapAt(symbol: ElfSymbol, places: MapPlaces): string | null {
  // A map of another object has nothing but its name.
  if (symbol.section === SHN.undef && symbol.name !== "") return symbol.name;
  return places.at(symbol.section, symbol.value);
}

/** Sections of `struct bpf_map_def`, from before maps had types. */
function isLegacyMapSection(name: string): boolean {
  return name === "maps" || name.startsWith("maps/");
}

const LEGACY_SIZE = 20;

/** Each map is five numbers: type, sizes of key and value, entries, flags. More than that must be zero. */
function readLegacyMaps(elf: ElfFile, section: ElfSection, places: MapPlaces): MapSpec[] {
  const symbols = elf.symbols.filter(
    (each) => each.section === section.index && each.name !== "" && each.type !== STT.section,
  );
  symbols.sort((a, b) => a.value - b.value);
  const reader = new ByteReader(section.data, elf.byteOrder, section.name);
  return symbols.map((symbol, index) => {
    const offset = symbol.value;
    const end = symbols[index + 1]?.value ?? section.data.length;
    if (end - offset < LEGACY_SIZE)
      throw new ObjectError("map", `map ${symbol.name} is cut off`, { section: section.name, offset });
    places.add(section, offset, symbol.name);
    if (reader.slice(offset + LEGACY_SIZE, end - offset - LEGACY_SIZE).some((byte) => byte !== 0)) {
      throw new ObjectError("unsupported", `map ${symbol.name} has more than the kernel's members`, {
        section: section.name,
        offset,
      });
    }
    const number = (at: number) => reader.u32(offset + at);
    return {
      name: symbol.name,
      type: mapTypeName(number(0), symbol.name),
      keySize: number(4),
      valueSize: number(8),
      maxEntries: number(12),
      flags: number(16),
      pinning: "none",
    };
  });
}

function readDataSection(context: MapContext, section: ElfSection): MapSpec {
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
function readKconfig(context: MapContext): MapSpec | null {
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

/** One map per variable of a `.struct_ops` section. */
function readStructOps(context: MapContext, section: ElfSection): MapSpec[] {
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
export function structOpsMap(input: {
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
