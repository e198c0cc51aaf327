import { alignOf, resolveId } from "../btf/query.ts";
import type { BtfTypes, BtfView } from "../btf/types.ts";
import { viewOf } from "../btf/view.ts";
import { typesCompatible } from "../core/compatible.ts";
import { ObjectError } from "../errors.ts";
import { completeSpec } from "../object/complete.ts";
import { dataMap, kconfigLayout } from "../object/read-data.ts";
import type { KconfigVariable } from "../object/read-data.ts";
import { DEFAULT_ALIGN } from "../object/sections.ts";
import { ownOf } from "../records.ts";
import type { DataSection, FunctionSpec, MapSpec, ObjectSpec, ProgramSpec, Reference } from "../spec.ts";
import { mergeTypes } from "./merge-types.ts";

/**
 * Links objects into one, as `bpftool gen object` does: types are deduplicated, data sections of one name follow one another, declarations find
 * their definitions, a strong definition takes the place of weak ones, static functions of one name are told apart. What stays undefined
 * stays declared. Throws `ObjectError`: `symbol` for two strong definitions, `map` for maps of one name that differ, `unsupported` for
 * what cannot be one object.
 */
export function linkObjects(specs: readonly ObjectSpec[]): ObjectSpec {
  const first = specs[0];
  if (first === undefined) throw new ObjectError("unsupported", "there is nothing to link");
  const complete = specs.map((spec) => completeSpec(spec));
  return completeSpec(new ObjectLinker(complete).link());
}

/** Where a variable of one object went. */
interface Moved {
  readonly map: string;
  readonly offset: number;
}

class ObjectLinker {
  private readonly specs: readonly ObjectSpec[];
  private readonly retype: readonly ((id: number) => number)[];
  private readonly btf: BtfTypes;
  private readonly maps = new Map<string, MapSpec>();
  /** Definitions of global variables by name. */
  private readonly variables = new Map<string, Moved & { readonly weak: boolean }>();
  /** Of each object: where its data sections begin in the joint ones. */
  private readonly bases: Map<string, number>[] = [];
  /** Of each object: new names of its static functions. */
  private readonly renamed: Map<string, string>[] = [];
  private readonly winners = new Map<string, { readonly index: number; readonly weak: boolean }>();

  constructor(specs: readonly ObjectSpec[]) {
    this.specs = specs;
    const merged = mergeTypes(specs.map((spec) => spec.btf ?? { types: [] }));
    this.btf = merged.btf;
    this.retype = merged.ids;
  }

  link(): ObjectSpec {
    const license = this.agreed("license", (spec) => (spec.license === "" ? undefined : spec.license)) ?? "";
    const byteOrder = this.agreed("byte order", (spec) => spec.byteOrder) ?? "little";
    const kernelVersion = this.agreed("kernel version", (spec) => spec.kernelVersion);
    this.joinMaps();
    this.joinData();
    this.joinKconfig();
    this.chooseFunctions();
    const functions = this.functionsOf((spec) => spec.functions);
    const programs = this.functionsOf<ProgramSpec>((spec) => spec.programs);
    return {
      license,
      byteOrder,
      maps: Object.fromEntries(this.maps),
      programs,
      functions,
      ...(this.specs.every((spec) => spec.btf === undefined) ? {} : { btf: this.btf }),
      ...(kernelVersion === undefined ? {} : { kernelVersion }),
    };
  }

  /** What all objects that say it agree on. */
  private agreed<T>(what: string, get: (spec: ObjectSpec) => T | undefined): T | undefined {
    const values = new Set(this.specs.map(get).filter((value) => value !== undefined));
    if (values.size > 1) throw new ObjectError("unsupported", `objects of different ${what} cannot be linked`);
    return [...values][0];
  }

  private typeId(index: number, id: number): number {
    return this.retype[index]?.(id) ?? 0;
  }

  // ---- data ----

  private joinData(): void {
    const sections = new Map<
      string,
      { readOnly: boolean; align: number; parts: { index: number; base: number; data: DataSection }[]; end: number }
    >();
    this.specs.forEach((spec, index) => {
      const bases = new Map<string, number>();
      this.bases.push(bases);
      for (const map of Object.values(spec.maps)) {
        if (map.data === undefined || map.type !== "array" || map.name === ".kconfig") continue;
        const section = sections.get(map.name) ?? { readOnly: map.data.readOnly, align: 1, parts: [], end: 0 };
        sections.set(map.name, section);
        section.align = Math.max(section.align, map.data.align ?? DEFAULT_ALIGN);
        const base = Math.ceil(section.end / section.align) * section.align;
        bases.set(map.name, base);
        section.parts.push({ index, base, data: map.data });
        section.end = base + map.data.contents.length;
      }
    });
    for (const [name, { parts }] of sections)
      for (const { base, data } of parts) this.defineVariables(name, { base, data });
    for (const [name, { readOnly, align, parts, end }] of sections) {
      const contents = new Uint8Array(end);
      for (const { base, data } of parts) contents.set(data.contents, base);
      const variables = parts.flatMap(({ index, base, data }) => this.keptVariables(name, { index, base, data }));
      this.maps.set(name, dataMap({ name, data: { contents, align, readOnly, variables } }));
    }
  }

  private defineVariables(map: string, part: { base: number; data: DataSection }): void {
    for (const variable of part.data.variables) {
      if (variable.linkage === "static") continue;
      const known = this.variables.get(variable.name);
      const weak = variable.weak === true;
      if (known !== undefined && !known.weak && !weak)
        throw new ObjectError("symbol", `variable ${variable.name} is defined twice`);
      if (known === undefined || (known.weak && !weak)) {
        this.variables.set(variable.name, { map, offset: part.base + variable.offset, weak });
      }
    }
  }

  /** Without those that another definition takes the place of; their bytes stay. */
  private keptVariables(
    map: string,
    part: { index: number; base: number; data: DataSection },
  ): DataSection["variables"] {
    return part.data.variables.flatMap((variable) => {
      const offset = part.base + variable.offset;
      const winner = this.variables.get(variable.name);
      const isKept = variable.linkage === "static" || (winner?.map === map && winner.offset === offset);
      return isKept ? [{ ...variable, offset, typeId: this.typeId(part.index, variable.typeId) }] : [];
    });
  }

  private joinKconfig(): void {
    const wanted = new Map<string, KconfigVariable>();
    this.specs.forEach((spec, index) => {
      for (const { name, size, typeId, weak } of spec.maps[".kconfig"]?.data?.variables ?? []) {
        const known = wanted.get(name);
        if (known !== undefined && known.size !== size)
          throw new ObjectError("symbol", `${name} is declared with different types`);
        // Strong where one object needs it.
        const isWeak = weak === true && (known?.weak ?? true);
        const align = alignOf(spec.btf ?? { types: [] }, typeId);
        wanted.set(name, { name, size, align, typeId: this.typeId(index, typeId), weak: isWeak });
      }
    });
    if (wanted.size > 0)
      this.maps.set(".kconfig", dataMap({ name: ".kconfig", data: kconfigLayout([...wanted.values()]) }));
  }

  // ---- maps ----

  private joinMaps(): void {
    this.specs.forEach((spec, index) => {
      for (const map of Object.values(spec.maps)) {
        if (map.data !== undefined && map.type === "array") continue;
        const own = this.retyped(map, index);
        const known = this.maps.get(map.name);
        this.maps.set(map.name, known === undefined ? own : this.chosen(known, own));
      }
    });
  }

  /** Which of two maps of one name counts. */
  private chosen(known: MapSpec, own: MapSpec): MapSpec {
    const isLoose = (map: MapSpec) => map.extern === true || map.weak === true;
    if (!isLoose(known) && !isLoose(own)) throw new ObjectError("map", `map ${known.name} is defined twice`);
    if (!sameDefinition(viewOf(this.btf), known, own))
      throw new ObjectError("map", `map ${known.name} is declared with different definitions`);
    if (own.extern === true) return known;
    return known.extern === true || (known.weak === true && own.weak !== true) ? own : known;
  }

  private retyped(map: MapSpec, index: number): MapSpec {
    return {
      ...map,
      ...(map.keyTypeId === undefined ? {} : { keyTypeId: this.typeId(index, map.keyTypeId) }),
      ...(map.valueTypeId === undefined ? {} : { valueTypeId: this.typeId(index, map.valueTypeId) }),
      ...(map.inner === undefined ? {} : { inner: this.retyped(map.inner, index) }),
      ...(map.data === undefined ? {} : { data: this.retypedData(map.data, index) }),
    };
  }

  private retypedData(data: DataSection, index: number): DataSection {
    return { ...data, variables: data.variables.map((each) => ({ ...each, typeId: this.typeId(index, each.typeId) })) };
  }

  // ---- code ----

  /** Which definition of each global function counts, and what static ones are called. */
  private chooseFunctions(): void {
    const taken = new Set<string>();
    this.forEachFunction((fn, index) => {
      if (fn.linkage === "static") return;
      taken.add(fn.name);
      const weak = fn.linkage === "weak";
      const known = this.winners.get(fn.name);
      if (known !== undefined && !known.weak && !weak)
        throw new ObjectError("symbol", `function ${fn.name} is defined twice`);
      if (known === undefined || (known.weak && !weak)) this.winners.set(fn.name, { index, weak });
    });
    this.specs.forEach(() => this.renamed.push(new Map()));
    this.forEachFunction((fn, index) => {
      if (fn.linkage !== "static") return;
      let unique = fn.name;
      for (let number = 1; taken.has(unique); number++) unique = `${fn.name}.${number}`;
      taken.add(unique);
      this.renamed[index]?.set(fn.name, unique);
    });
  }

  private forEachFunction(visit: (fn: FunctionSpec, index: number) => void): void {
    this.specs.forEach((spec, index) => {
      for (const fn of Object.values(spec.functions)) visit(fn, index);
      for (const fn of Object.values(spec.programs)) visit(fn, index);
    });
  }

  private functionsOf<T extends FunctionSpec>(
    get: (spec: ObjectSpec) => Readonly<Record<string, T>>,
  ): Record<string, T> {
    const all = this.specs.flatMap((spec, index) =>
      Object.values(get(spec)).flatMap((fn): [string, T][] => {
        const isKept = fn.linkage === "static" || this.winners.get(fn.name)?.index === index;
        const name = this.functionName(fn.name, index);
        return isKept ? [[name, this.moved(fn, name, index)]] : [];
      }),
    );
    return Object.fromEntries(all);
  }

  private functionName(name: string, index: number): string {
    return this.renamed[index]?.get(name) ?? name;
  }

  private moved<T extends FunctionSpec>(fn: T, name: string, index: number): T {
    return {
      ...fn,
      name,
      ...(fn.typeId === undefined ? {} : { typeId: this.typeId(index, fn.typeId) }),
      references: fn.references.map((reference) => this.movedReference(reference, index)),
      coreRelocations: fn.coreRelocations.map((each) => ({ ...each, typeId: this.typeId(index, each.typeId) })),
    };
  }

  private movedReference(reference: Reference, index: number): Reference {
    switch (reference.kind) {
      case "map":
        return reference;
      case "call":
      case "function":
        return { ...reference, function: this.functionName(reference.function, index) };
      case "data":
        return this.movedData(reference, index);
      case "extern": {
        const found = this.variables.get(reference.name);
        return found === undefined
          ? reference
          : { at: reference.at, kind: "data", map: found.map, offset: found.offset };
      }
      case "kfunc":
      case "ksym":
        return reference.typeId === undefined
          ? reference
          : { ...reference, typeId: this.typeId(index, reference.typeId) };
    }
  }

  private movedData(reference: Extract<Reference, { kind: "data" }>, index: number): Reference {
    const data = ownOf(this.specs[index]?.maps ?? {}, reference.map)?.data;
    const variable = data?.variables.find(
      ({ offset, size }) => reference.offset >= offset && reference.offset < offset + size,
    );
    if (reference.map === ".kconfig") {
      const place = this.maps.get(".kconfig")?.data?.variables.find(({ name }) => name === variable?.name);
      return { ...reference, offset: place?.offset ?? 0 };
    }
    const base = this.bases[index]?.get(reference.map);
    // An arena's data stays where it is.
    if (base === undefined) return reference;
    const winner =
      variable === undefined || variable.linkage === "static" ? undefined : this.variables.get(variable.name);
    if (winner === undefined || variable === undefined) return { ...reference, offset: base + reference.offset };
    return { ...reference, map: winner.map, offset: winner.offset + reference.offset - variable.offset };
  }
}

/** What names and qualifies the types of key and value does not matter (libbpf's linker: map_defs_match). */
function sameDefinition(btf: BtfView, a: MapSpec, b: MapSpec): boolean {
  const numbers = (map: MapSpec): string =>
    JSON.stringify([
      ...[map.type, map.keySize, map.valueSize, map.maxEntries, map.flags, map.pinning],
      ...[map.numaNode ?? null, (map.mapExtra ?? 0n).toString()],
      ...[map.keyTypeId === undefined, map.valueTypeId === undefined, map.inner === undefined],
    ]);
  if (numbers(a) !== numbers(b)) return false;
  const same = (mine = 0, other = 0) => {
    const [x, y] = [resolveId(btf, mine), resolveId(btf, other)];
    return x === y || typesCompatible({ btf, id: x }, { btf, id: y });
  };
  if (!same(a.keyTypeId, b.keyTypeId) || !same(a.valueTypeId, b.valueTypeId)) return false;
  return a.inner === undefined || b.inner === undefined || sameDefinition(btf, a.inner, b.inner);
}
