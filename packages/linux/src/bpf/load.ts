/**
 * @module
 * From a spec to live maps and programs: types, maps, data, programs, then what maps hold of each other.
 */
import { basename, join } from "node:path";
import type { Collection, LoadOptions, Program, RawMap } from "@skep/machine";
import {
  CoreRelocator,
  linkProgram,
  ObjectError,
  resolveKconfig,
  type CoreResult,
  type LinkedProgram,
  type MapSpec,
  type ObjectSpec,
  type ProgramSpec,
} from "@skep/object";
import { SyscallError } from "../sys/index.ts";
import { attachPoint, type AttachPoint } from "./attach-point.ts";
import { BtfError, loadTypes, type LoadedTypes } from "./btf-load.ts";
import { capabilitiesOfType, needCapabilities } from "./capabilities.ts";
import { configuredData } from "./config.ts";
import { allModuleTypes, kernelTypes, openModuleBtf } from "./kernel-btf.ts";
import { kconfigSource } from "./kernel-config.ts";
import { checkFits, createMap } from "./map-create.ts";
import { LinuxMap } from "./map.ts";
import { openPinned } from "./pins.ts";
import { isPassing } from "./probes/run.ts";
import { loadProgram } from "./program-load.ts";
import type { LinuxProgram } from "./program.ts";
import { memberIndex, prepareStructOps, structOpsLayout, type StructOpsLayout } from "./struct-ops.ts";
import type { BpfToken } from "./token.ts";

export interface LinuxLoadOptions extends LoadOptions {
  /** For programs that trace or replace a function of another program: that one, by the name of the program that is loaded. */
  readonly targets?: Readonly<Record<string, Program>>;
  /** Folder in which maps with `pinning: "by-name"` are found, or pinned when they are not there. */
  readonly pins?: string;
  /** Keeps the verifier's log also of what it accepts: 1, 2 (every state), or 4 (statistics alone). */
  readonly logLevel?: number;
  /** Bound to an interface: for programs with the flag `xdp_dev_bound_only`. */
  readonly interface?: number;
  readonly token?: BpfToken;
}

export interface LinuxCollection extends Collection {
  readonly maps: Readonly<Record<string, LinuxMap>>;
  readonly programs: Readonly<Record<string, LinuxProgram>>;
  /** Why the kernel refused the object's types, where it did: maps and programs are then without them. */
  readonly refusedTypes: Error | null;
}

/** Loads maps and programs, all or nothing. Throws what the first failing step throws. */
export function loadCollection(spec: ObjectSpec, options: LinuxLoadOptions = {}): LinuxCollection {
  const loading = new Loading(spec, options);
  try {
    return loading.run();
  } catch (error) {
    loading.undo();
    throw error;
  } finally {
    loading.closeTypes();
  }
}

type Linked = LinkedProgram & { readonly results?: readonly CoreResult[] };

class Loading {
  readonly #spec: ObjectSpec;
  readonly #options: LinuxLoadOptions;
  readonly #maps: Record<string, LinuxMap> = {};
  readonly #programs: Record<string, LinuxProgram> = {};
  readonly #made: { close(): void }[] = [];
  readonly #structOps = new Map<string, StructOpsLayout>();
  #types: LoadedTypes | null = null;
  #refusedTypes: Error | null = null;

  constructor(spec: ObjectSpec, options: LinuxLoadOptions) {
    this.#spec = spec;
    this.#options = options;
  }

  run(): LinuxCollection {
    const spec = this.#spec;
    if (spec.byteOrder !== "little") throw new TypeError("the object is for machines of the other byte order");
    const maps = this.#wantedMaps();
    const programs = this.#wantedPrograms();
    if (!this.#options.token) {
      for (const each of programs) needCapabilities(`loading ${each.name}`, ...capabilitiesOfType(each.type));
    }
    const contents = configuredData(spec, this.#options.config ?? {});
    if (spec.maps[".kconfig"]) this.#fillKconfig(contents);
    const linked = this.#link(programs.map((each) => each.name));
    this.#loadTypes(linked);
    for (const map of maps) this.#makeMap(map, contents.get(map.name));
    for (const each of linked) this.#makeProgram(each);
    for (const map of maps) this.#fill(map);
    return collection(this.#maps, this.#programs, this.#refusedTypes);
  }

  undo(): void {
    for (const made of this.#made) made.close();
  }

  closeTypes(): void {
    this.#types?.descriptor.close();
  }

  /** All, but for struct_ops of a section that begins with `?`: those that a wanted program belongs to. */
  #wantedMaps(): MapSpec[] {
    const names = new Set(this.#options.programs ?? []);
    const maps = Object.values(this.#spec.maps).filter(({ structOps }) => {
      return !structOps?.section.startsWith("?") || structOps.programs.some(({ program }) => names.has(program));
    });
    for (const { name, structOps } of maps)
      if (structOps) this.#structOps.set(name, structOpsLayout(structOps.typeName));
    return maps;
  }

  #wantedPrograms(): ProgramSpec[] {
    const { programs } = this.#spec;
    const names = this.#options.programs;
    if (!names) return Object.values(programs).filter((program) => this.#isLoadedByDefault(program));
    return names.map((name) => {
      const program = programs[name];
      if (!program) throw new RangeError(`the object has no program ${name}`);
      return program;
    });
  }

  /** For programs of struct_ops their maps decide, and whether the kernel has their place (libbpf: bpf_object_adjust_struct_ops_autoload). */
  #isLoadedByDefault(program: ProgramSpec): boolean {
    const isUsed = Object.values(this.#spec.maps).some(({ structOps }) => {
      return structOps?.programs.some((each) => each.program === program.name);
    });
    if (program.type !== "struct_ops" || !isUsed) return program.autoload !== false;
    return this.#structOpsPlace(program) !== null;
  }

  /** An object without struct_ops can do without types (libbpf: bpf_object__sanitize_and_load_btf). */
  #loadTypes(linked: readonly LinkedProgram[]): void {
    try {
      this.#types = loadTypes(this.#spec, linked, { token: this.#options.token?.fd ?? 0 });
    } catch (error) {
      const isRefusal =
        error instanceof BtfError ||
        (error instanceof SyscallError && error.code !== "EPERM" && !isPassing(-error.errno));
      if (!isRefusal || this.#structOps.size > 0) throw error;
      this.#refusedTypes = error;
    }
  }

  #fillKconfig(contents: Map<string, Uint8Array>): void {
    const bytes = resolveKconfig(this.#spec, kconfigSource());
    if (bytes) contents.set(".kconfig", bytes);
  }

  /** Programs with what they call, fitted to the kernel's types. */
  #link(names: readonly string[]): Linked[] {
    const linked = names.map((name) => linkProgram(this.#spec, name));
    const { btf } = this.#spec;
    if (!btf || linked.every((each) => each.coreRelocations.length === 0)) return linked;
    const modules = () => allModuleTypes().map(([, types]) => types);
    const relocator = new CoreRelocator({ local: btf, target: kernelTypes(), modules });
    return linked.map((each) => (each.coreRelocations.length === 0 ? each : relocator.relocate(each)));
  }

  #makeMap(spec: MapSpec, contents: Uint8Array | undefined): void {
    const given = this.#options.maps?.[spec.name] ?? this.#pinned(spec);
    const maxEntries = this.#options.maxEntries?.[spec.name];
    if (given) {
      const map = ownMap(given, spec.name);
      checkFits(map, spec, maxEntries);
      this.#maps[spec.name] = map;
      return;
    }
    if (spec.extern)
      throw new ObjectError(
        "symbol",
        `map ${spec.name} is defined by another object: link them, or give it in \`maps\``,
      );
    const layout = this.#structOps.get(spec.name);
    const map = createMap(spec, {
      btf: this.#types?.descriptor ?? null,
      token: this.#options.token?.fd ?? 0,
      ...(layout ? { structOps: layout } : {}),
      ...(maxEntries === undefined ? {} : { maxEntries }),
    });
    this.#made.push(map);
    this.#maps[spec.name] = map;
    if (spec.pinning === "by-name" && this.#options.pins !== undefined) map.pin(pinOf(this.#options.pins, spec));
    // A program is only loaded when its arena has an address, which mapping gives it.
    if (spec.type === "arena") map.mapArena();
    if (spec.data && contents && !layout) putData(map, spec, contents);
  }

  /** The map of that name in the pin folder. Closed with the collection, so made here. */
  #pinned(spec: MapSpec): LinuxMap | null {
    const { pins } = this.#options;
    if (spec.pinning !== "by-name" || pins === undefined) return null;
    const descriptor = openPinned(pinOf(pins, spec), "map");
    if (!descriptor) return null;
    const map = new LinuxMap(descriptor);
    this.#made.push(map);
    return map;
  }

  #makeProgram(linked: Linked): void {
    const spec = this.#spec.programs[linked.name];
    if (!spec) throw new RangeError(`the object has no program ${linked.name}`);
    const program = loadProgram({
      spec,
      linked,
      relocations: linked.results ?? [],
      license: this.#spec.license,
      localTypes: this.#spec.btf ?? { types: [] },
      maps: this.#maps,
      bound: Object.values(this.#spec.maps).flatMap(({ name, data }) => {
        const map = this.#maps[name];
        return map && data?.readOnly && name !== ".kconfig" ? [map] : [];
      }),
      types: this.#types,
      point: this.#pointOf(spec),
      ...(this.#spec.kernelVersion === undefined ? {} : { kernelVersion: this.#spec.kernelVersion }),
      ...(this.#options.logLevel === undefined ? {} : { logLevel: this.#options.logLevel }),
      ...(this.#options.interface === undefined ? {} : { interface: this.#options.interface }),
      token: this.#options.token?.fd ?? 0,
    });
    this.#made.push(program);
    this.#programs[linked.name] = program;
  }

  #pointOf(spec: ProgramSpec): AttachPoint {
    if (spec.type !== "struct_ops") return attachPoint(spec, this.#options.targets?.[spec.name]);
    const place = this.#structOpsPlace(spec);
    if (!place) throw new TypeError(`${spec.name}: no struct_ops map has a place for it`);
    const { layout, index } = place;
    const module = layout.module === null ? null : openModuleBtf(layout.module);
    const fd = module?.fd ?? 0;
    return { btfId: layout.typeId, attachType: index, fd, close: () => module?.close() };
  }

  #structOpsPlace(program: ProgramSpec): { readonly layout: StructOpsLayout; readonly index: number } | null {
    for (const [name, layout] of this.#structOps) {
      const { programs = [] } = this.#spec.maps[name]?.structOps ?? {};
      const member = programs.find((each) => each.program === program.name)?.member;
      const index = member === undefined ? null : memberIndex(layout, member);
      if (index !== null) return { layout, index };
    }
    return null;
  }

  /** What a spec puts into program arrays and maps of maps; not into maps that were there. */
  #fill(spec: MapSpec): void {
    const map = this.#maps[spec.name];
    if (!map || !this.#made.includes(map)) return;
    const layout = this.#structOps.get(spec.name);
    if (layout) prepareStructOps(map, spec, { layout, btf: this.#spec.btf ?? { types: [] }, programs: this.#programs });
    for (const { index, name } of spec.values ?? []) {
      const key = new Uint8Array(new Uint32Array([index]).buffer);
      if (spec.type === "prog_array") {
        const program = this.#programs[name];
        // Left out by `programs`: its place stays empty.
        if (program) map.setProgram(key, program);
      } else {
        const inner = this.#maps[name];
        if (!inner) throw new RangeError(`map ${spec.name}: the object has no map ${name}`);
        map.setMap(key, inner);
      }
    }
  }
}

function pinOf(pins: string, spec: MapSpec): string {
  return join(pins, basename(spec.name));
}

function putData(map: LinuxMap, spec: MapSpec, contents: Uint8Array): void {
  if (spec.type === "arena") map.mapArena().write(0, contents);
  else map.set(new Uint8Array(4), contents);
  if (spec.data?.readOnly) map.freeze();
}

function ownMap(map: RawMap, name: string): LinuxMap {
  if (map instanceof LinuxMap) return map;
  throw new TypeError(`map ${name} belongs to another machine`);
}

function collection(
  maps: Record<string, LinuxMap>,
  programs: Record<string, LinuxProgram>,
  refusedTypes: Error | null,
): LinuxCollection {
  return {
    maps,
    programs,
    refusedTypes,
    close() {
      for (const each of [...Object.values(programs), ...Object.values(maps)]) each.close();
    },
  };
}
