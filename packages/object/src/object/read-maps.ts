import { sizeOf } from "../btf/query.ts";
import { R_BPF, SHN, SHT, STB, STT } from "../elf/format.ts";
import type { ElfFile, ElfSection, ElfSymbol } from "../elf/read.ts";
import { ByteReader } from "../bytes.ts";
import { ObjectError } from "../errors.ts";
import type { MapSpec } from "../spec.ts";
import { parseMapDefinition } from "./map-def.ts";
import { mapTypeName } from "./map-types.ts";
import { readArena, readDataSection, readKconfig } from "./read-data.ts";
import type { ExternSymbol, ObjectTypes } from "./read-btf.ts";
import { readStructOps } from "./read-struct-ops.ts";
import { isDataSection, isStructOpsSection } from "./sections.ts";

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
