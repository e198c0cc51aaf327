import { BtfBuilder } from "../btf/builder.ts";
import { alignOf, sizeOf } from "../btf/query.ts";
import type { BtfOf } from "../btf/types.ts";
import { ObjectError } from "../errors.ts";
import type { DataSection, FunctionSpec, MapSpec, ObjectSpec, ProgramSpec, Reference } from "../spec.ts";
import { buildMapDefinition, mapVariableSize, parseMapDefinition } from "./map-def.ts";
import { dataMap, kconfigLayout } from "./read-maps.ts";
import { placeholder, sectionMeaning } from "./read-code.ts";

import { ARENA_SECTION, DEFAULT_ALIGN } from "./sections.ts";

type Section = BtfOf<"datasec">;
type Entry = Section["variables"][number];

const MAX_COLUMN = 0x3ff;
const MAX_LINE = 0x3f_ffff;

/**
 * The spec as `readObject(writeObject(spec))` gives it: type information gets what the file format needs (a variable and a section for
 * every map, datum and kernel symbol; existing type ids stay), instructions hold the placeholders of their references. A spec that was
 * read is complete already. Throws `ObjectError` for what a file cannot say.
 */
export function completeSpec(spec: ObjectSpec): ObjectSpec {
  const programs = mapRecord(spec.programs, completeProgram);
  const functions = mapRecord(spec.functions, completeFunction);
  if (spec.btf === undefined && !needsTypes(spec))
    return { ...spec, programs, functions, maps: mapRecord(spec.maps, plainMap) };
  const types = new Types(new BtfBuilder(spec.btf));
  const maps = completeMaps(spec, types);
  const retype = completeSymbols([...Object.values(programs), ...Object.values(functions)], types);
  return {
    ...spec,
    maps,
    programs: mapRecord(programs, (fn) => ({ ...fn, references: fn.references.map(retype) })),
    functions: mapRecord(functions, (fn) => ({ ...fn, references: fn.references.map(retype) })),
    btf: types.btf.build(),
  };
}

function mapRecord<T, U>(record: Readonly<Record<string, T>>, change: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, change(value)]));
}

function needsTypes(spec: ObjectSpec): boolean {
  const hasMaps = Object.values(spec.maps).some((map) => map.data === undefined || map.data.variables.length > 0);
  const all = [...Object.values(spec.programs), ...Object.values(spec.functions)];
  return (
    hasMaps ||
    all.some((fn) => fn.references.some(({ kind }) => kind === "kfunc" || kind === "ksym" || kind === "extern"))
  );
}

function plainMap(map: MapSpec): MapSpec {
  return map.data === undefined ? map : dataMap({ name: map.name, data: aligned(map.data) });
}

// ---- code ----

/** The section's name is all that a file says of a program's type. */
function completeProgram(program: ProgramSpec): ProgramSpec {
  const { autoload, section: named, ...rest } = completeFunction(program);
  const section = autoload === false && !named.startsWith("?") ? `?${named}` : named;
  const meaning = sectionMeaning(section);
  if (meaning.type !== program.type) {
    throw new ObjectError(
      "program",
      `program ${program.name} is a ${program.type}, but section ${section} holds ${meaning.type}`,
    );
  }
  return { ...rest, section, ...(section.startsWith("?") ? { autoload: false } : {}) };
}

function completeFunction<T extends FunctionSpec>(fn: T): T {
  const references = [...fn.references].sort((a, b) => a.at - b.at);
  const instructions = [...fn.instructions];
  for (const reference of references) {
    const insn = instructions[reference.at];
    if (insn === undefined)
      throw new ObjectError("program", `${fn.name}: a reference at instruction ${reference.at}, which is not there`);
    instructions[reference.at] = placeholder(insn, reference);
  }
  const lines = [...fn.lines]
    .sort((a, b) => a.at - b.at)
    .map((line) => ({
      ...line,
      line: Math.min(line.line, MAX_LINE),
      column: Math.min(line.column, MAX_COLUMN),
    }));
  return {
    ...fn,
    references,
    instructions,
    lines,
    coreRelocations: [...fn.coreRelocations].sort((a, b) => a.at - b.at),
  };
}

// ---- types ----

interface WantedVariable {
  readonly name: string;
  readonly offset: number;
  readonly typeId: number;
  readonly linkage: BtfOf<"var">["linkage"];
}

/** Type information under completion: sections by name. */
class Types {
  readonly btf: BtfBuilder;
  private readonly sections = new Map<string, number>();

  constructor(btf: BtfBuilder) {
    this.btf = btf;
    for (let id = 1; id < btf.end; id++) {
      const type = btf.get(id);
      if (type?.kind === "datasec") this.sections.set(type.name, id);
    }
  }

  section(name: string): { id: number; type: Section } | null {
    const id = this.sections.get(name);
    const type = id === undefined ? null : this.btf.get(id);
    return id === undefined || type?.kind !== "datasec" ? null : { id, type };
  }

  /** The variable or function of this name in a section; null where there is none. */
  member(section: string, name: string): { entry: Entry; type: BtfOf<"var" | "func"> } | null {
    for (const entry of this.section(section)?.type.variables ?? []) {
      const type = this.btf.get(entry.typeId);
      if ((type?.kind === "var" || type?.kind === "func") && type.name === name) return { entry, type };
    }
    return null;
  }

  /**
   * VARs for the variables of a section, in their order: those that are there, changed where they differ, or new ones. Static variables of
   * several functions may share a name.
   */
  variables(section: string, wanted: readonly WantedVariable[]): number[] {
    const known = [...(this.section(section)?.type.variables ?? [])];
    return wanted.map(({ name, offset, typeId, linkage }) => {
      const isIt = (entry: Entry, exact: boolean) => {
        const type = this.btf.get(entry.typeId);
        return type?.kind === "var" && type.name === name && (!exact || entry.offset === offset);
      };
      let at = known.findIndex((entry) => isIt(entry, true));
      if (at < 0) at = known.findIndex((entry) => isIt(entry, false));
      const entry = known[at];
      const type = entry === undefined ? null : this.btf.get(entry.typeId);
      if (entry === undefined || type?.kind !== "var") return this.btf.variable(name, typeId, linkage);
      known.splice(at, 1);
      if (type.typeId !== typeId || type.linkage !== linkage)
        this.btf.replace(entry.typeId, { ...type, typeId, linkage });
      return entry.typeId;
    });
  }

  variable(section: string, wanted: Omit<WantedVariable, "offset">): number {
    return this.variables(section, [{ ...wanted, offset: -1 }])[0] ?? 0;
  }

  /** Sets what a section holds, and gives its id. */
  setSection(name: string, size: number, variables: readonly Entry[]): number {
    const type: Section = { kind: "datasec", name, size, variables };
    const known = this.section(name);
    if (known !== null) {
      this.btf.replace(known.id, type);
      return known.id;
    }
    const id = this.btf.add(type);
    this.sections.set(name, id);
    return id;
  }
}

function completeMaps(spec: ObjectSpec, types: Types): Record<string, MapSpec> {
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
export const STRUCT_OPS_ALIGN = 8;

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

// ---- kernel symbols ----

/** Declares every kernel function and variable in `.ksyms`; gives what makes their references name the declarations. */
function completeSymbols(functions: readonly FunctionSpec[], types: Types): (reference: Reference) => Reference {
  const ids = new Map<string, number>();
  const added: Entry[] = [];
  for (const reference of functions.flatMap((fn) => fn.references)) {
    if ((reference.kind !== "kfunc" && reference.kind !== "ksym") || ids.has(reference.name)) continue;
    const known = types.member(".ksyms", reference.name);
    if (known !== null) {
      ids.set(reference.name, known.entry.typeId);
      continue;
    }
    const id = declare(reference, types);
    ids.set(reference.name, id);
    added.push({ typeId: id, offset: 0, size: 0 });
  }
  if (added.length > 0) types.setSection(".ksyms", 0, [...(types.section(".ksyms")?.type.variables ?? []), ...added]);
  return (reference) => {
    if (reference.kind !== "kfunc" && reference.kind !== "ksym") return reference;
    const typeId = ids.get(reference.name);
    if (typeId === undefined || (reference.kind === "ksym" && reference.typeId === undefined)) return reference;
    return { ...reference, typeId };
  };
}

function declare(reference: Extract<Reference, { kind: "kfunc" | "ksym" }>, types: Types): number {
  const { name, typeId } = reference;
  const type = typeId === undefined ? null : types.btf.get(typeId);
  if (type?.kind === "func" || type?.kind === "var") {
    if (type.linkage !== "extern" || type.name !== name)
      throw new ObjectError("symbol", `type ${typeId} does not declare ${name}`);
    return typeId ?? 0;
  }
  if (reference.kind === "kfunc")
    throw new ObjectError("symbol", `kernel function ${name} is not declared in the types`);
  return types.btf.variable(name, typeId ?? types.btf.modifier("const", 0), "extern");
}
