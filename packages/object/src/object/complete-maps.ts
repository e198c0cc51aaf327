import { alignOf, sizeOf } from "../btf/query.ts";
import { ObjectError } from "../errors.ts";
import { mapRecord } from "../records.ts";
import type { DataSection, MapSpec, ObjectSpec } from "../spec.ts";
import { buildMapDefinition, mapVariableSize, parseMapDefinition } from "./map-def.ts";
import { dataMap, kconfigLayout } from "./read-data.ts";
import { ARENA_SECTION, DEFAULT_ALIGN } from "./sections.ts";
import type { SectionEntry as Entry, Types } from "./type-completion.ts";

/** A map of an object without types. */
export function plainMap(map: MapSpec): MapSpec {
  return map.data === undefined ? map : dataMap({ name: map.name, data: aligned(map.data) });
}

/** Maps with the variables and sections that stand for them in a file. */
export function completeMaps(spec: ObjectSpec, types: Types): Record<string, MapSpec> {
  const maps = mapRecord(spec.maps, (map): MapSpec => {
    if (map.structOps !== undefined) return map;
    if (map.name === ".kconfig") return completeKconfig(map, types);
    if (map.data !== undefined && map.type === "arena") {
      const { data } = completeData({ ...map, name: ARENA_SECTION }, map.data, types);
      return data === undefined ? map : { ...map, data };
    }
    if (map.data !== undefined) return completeData(map, map.data, types);
    return map.inner === undefined ? map : { ...map, inner: { ...map.inner, name: `${map.name}.inner` } };
  });
  layOutDefined(Object.values(maps), types);
  layOutStructOps(Object.values(maps), types);
  for (const section of ["license", "version"]) layOutUnknown(section, types);
  return maps;
}

/** A section that no map stands for, and that has no size yet. */
function layOutUnknown(name: string, types: Types): void {
  const section = types.section(name);
  if (section === null || section.type.size !== 0 || section.type.variables.length === 0) return;
  let end = 0;
  const variables = section.type.variables.map(({ typeId }) => {
    const size = sizeOf(types.btf, typeId) ?? 0;
    const offset = end;
    end += size;
    return { typeId, offset, size };
  });
  types.setSection(name, end, variables);
}

function aligned(data: DataSection): DataSection {
  return { ...data, align: data.align ?? DEFAULT_ALIGN };
}

function completeData(map: MapSpec, given: DataSection, types: Types): MapSpec {
  const data = aligned(given);
  const variables = [...data.variables].sort((a, b) => a.offset - b.offset);
  if (variables.length === 0 && types.section(map.name) === null) return dataMap({ name: map.name, data });
  const ids = types.variables(
    map.name,
    variables.map((variable) => ({ ...variable, linkage: variable.linkage ?? "global" })),
  );
  const entries = variables.map(({ offset, size }, index) => ({ typeId: ids[index] ?? 0, offset, size }));
  const externs = (types.section(map.name)?.type.variables ?? []).filter(({ typeId }) => isExtern(types, typeId));
  const sectionId = types.setSection(
    map.name,
    data.contents.length,
    [...externs, ...entries].sort((a, b) => a.offset - b.offset),
  );
  return dataMap({ name: map.name, data: { ...data, variables }, sectionId });
}

function isExtern(types: Types, id: number): boolean {
  const type = types.btf.get(id);
  return (type?.kind === "var" || type?.kind === "func") && type.linkage === "extern";
}

/** Clang's form: extern variables, a section without size. */
function completeKconfig(map: MapSpec, types: Types): MapSpec {
  const wanted = (map.data?.variables ?? []).map(({ name, size, typeId, weak }) => {
    return { name, size, typeId, weak: weak === true, align: alignOf(types.btf, typeId) };
  });
  const kept = types.section(".kconfig")?.type.variables ?? [];
  const missing = wanted.filter(({ name }) => types.member(".kconfig", name) === null);
  const added = missing.map(({ name, typeId, size }) => ({
    typeId: types.btf.variable(name, typeId, "extern"),
    offset: 0,
    size,
  }));
  const known = types.section(".kconfig");
  const sectionId =
    added.length === 0 && known !== null ? known.id : types.setSection(".kconfig", 0, [...kept, ...added]);
  return dataMap({ name: ".kconfig", data: kconfigLayout(wanted), sectionId });
}

/** Section `.maps`: the variables one after the other, in the order of the record. */
function layOutDefined(all: readonly MapSpec[], types: Types): void {
  const maps = all.filter((map) => map.structOps === undefined && (map.data === undefined || map.type === "arena"));
  if (maps.length === 0) return;
  const entries: Entry[] = [];
  let end = 0;
  for (const map of maps) {
    const structId = mapStruct(map, types);
    const linkage = map.extern === true ? "extern" : "global";
    const typeId = types.variable(".maps", { name: map.name, typeId: structId, linkage });
    const size = mapVariableSize(types.btf, structId, map);
    if (map.extern === true) {
      entries.push({ typeId, offset: 0, size });
      continue;
    }
    entries.push({ typeId, offset: end, size });
    end += size;
  }
  // Externs that nothing uses stay where they were.
  const used = new Set(entries.map(({ typeId }) => typeId));
  const known = types.section(".maps")?.type.variables ?? [];
  const rest = known.filter(({ typeId }) => !used.has(typeId) && isExtern(types, typeId));
  const rank = (entry: Entry) => known.findIndex(({ typeId }) => typeId === entry.typeId);
  types.setSection(
    ".maps",
    end,
    [...rest, ...entries].sort((a, b) => a.offset - b.offset || rank(a) - rank(b)),
  );
}

/** The struct that the map's variable has if it still says the same, else a new one. */
function mapStruct(map: MapSpec, types: Types): number {
  const known = types.member(".maps", map.name);
  if (known?.type.kind === "var") {
    const { spec } = parseMapDefinition(types.btf, known.type.typeId, map.name);
    const { values: _, extern: __, data: ___, weak: ____, ...plain } = map;
    if (sameMap(spec, plain)) return known.type.typeId;
  }
  return buildMapDefinition(types.btf, map);
}

function sameMap(a: MapSpec, b: MapSpec): boolean {
  const key = (map: MapSpec): string =>
    JSON.stringify(
      {
        ...map,
        mapExtra: (map.mapExtra ?? 0n).toString(),
        inner: map.inner === undefined ? null : key(map.inner),
      },
      Object.keys({ ...a, ...b, mapExtra: 0, inner: 0 }).sort(),
    );
  return key(a) === key(b);
}

/** Bytes between the variables of a `.struct_ops` section. */
const STRUCT_OPS_ALIGN = 8;

function layOutStructOps(all: readonly MapSpec[], types: Types): void {
  const sections = new Map<string, MapSpec[]>();
  for (const map of all) {
    const name = map.structOps?.section;
    if (name !== undefined) sections.set(name, [...(sections.get(name) ?? []), map]);
  }
  for (const [name, maps] of sections) {
    let end = 0;
    const entries = maps.map((map): Entry => {
      const typeId = map.valueTypeId;
      if (typeId === undefined) throw new ObjectError("map", `struct_ops ${map.name} has no type`);
      const offset = end;
      const size = map.data?.contents.length ?? sizeOf(types.btf, typeId) ?? 0;
      end = Math.ceil((offset + size) / STRUCT_OPS_ALIGN) * STRUCT_OPS_ALIGN;
      return { typeId: types.variable(name, { name: map.name, typeId, linkage: "global" }), offset, size };
    });
    types.setSection(name, end, entries);
  }
}
