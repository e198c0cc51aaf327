/**
 * @module
 * From a spec to live maps and programs: BTF, maps, data, programs, then what maps hold of each other.
 */
import type { Collection, LoadOptions, RawMap } from "@skep/machine";
import {
  linkProgram,
  objectBtf,
  type LinkedProgram,
  type MapSpec,
  type ObjectBtf,
  type ObjectSpec,
} from "@skep/object";
import type { Descriptor } from "../sys/index.ts";
import { loadBtf } from "./btf-load.ts";
import { capabilitiesOfType, needCapabilities } from "./capabilities.ts";
import { configuredData } from "./config.ts";
import { createMap, checkFits } from "./map-create.ts";
import { LinuxMap } from "./map.ts";
import { loadProgram } from "./program-load.ts";
import type { LinuxProgram } from "./program.ts";

export interface LinuxCollection extends Collection {
  readonly maps: Readonly<Record<string, LinuxMap>>;
  readonly programs: Readonly<Record<string, LinuxProgram>>;
}

/** Loads maps and programs, all or nothing. Throws what the first failing step throws. */
export function loadCollection(spec: ObjectSpec, options: LoadOptions = {}): LinuxCollection {
  const loading = new Loading(spec, options);
  try {
    return loading.run();
  } catch (error) {
    loading.closeMade();
    throw error;
  } finally {
    loading.btf?.close();
  }
}

class Loading {
  btf: Descriptor | null = null;
  readonly #spec: ObjectSpec;
  readonly #options: LoadOptions;
  readonly #maps: Record<string, LinuxMap> = {};
  readonly #programs: Record<string, LinuxProgram> = {};
  readonly #made: { close(): void }[] = [];

  constructor(spec: ObjectSpec, options: LoadOptions) {
    this.#spec = spec;
    this.#options = options;
  }

  run(): LinuxCollection {
    const spec = this.#spec;
    const names = this.#options.programs ?? Object.keys(spec.programs);
    for (const name of names) {
      const program = spec.programs[name];
      if (!program) throw new RangeError(`the object has no program ${name}`);
      needCapabilities(`loading ${name}`, ...capabilitiesOfType(program.type));
    }
    if (spec.byteOrder !== "little") throw new TypeError("the object is for machines of the other byte order");
    const contents = configuredData(spec, this.#options.config ?? {});
    const linked = names.map((name) => linkProgram(spec, name));
    const types = objectBtf(spec, linked);
    this.btf = types ? loadBtf(types.btf) : null;
    for (const map of Object.values(spec.maps)) this.#makeMap(map, contents.get(map.name));
    for (const program of linked) this.#makeProgram(program, types);
    for (const map of Object.values(spec.maps)) this.#fill(map);
    return collection(this.#maps, this.#programs);
  }

  closeMade(): void {
    for (const made of this.#made) made.close();
  }

  #makeMap(spec: MapSpec, contents: Uint8Array | undefined): void {
    const maxEntries = this.#options.maxEntries?.[spec.name];
    const given = this.#options.maps?.[spec.name];
    if (given) {
      const map = ownMap(given, spec.name);
      checkFits(map, spec, maxEntries);
      this.#maps[spec.name] = map;
      return;
    }
    const map = createMap(spec, { btf: this.btf, ...(maxEntries === undefined ? {} : { maxEntries }) });
    this.#made.push(map);
    this.#maps[spec.name] = map;
    if (!spec.data || !contents) return;
    map.set(new Uint8Array(4), contents);
    if (spec.data.readOnly) map.freeze();
  }

  #makeProgram(linked: LinkedProgram, types: ObjectBtf | null): void {
    const spec = this.#spec.programs[linked.name];
    if (!spec) return;
    const program = loadProgram({
      spec,
      linked,
      license: this.#spec.license,
      maps: this.#maps,
      btf: this.btf,
      info: types?.programs[linked.name] ?? null,
    });
    this.#made.push(program);
    this.#programs[linked.name] = program;
  }

  /** What a spec puts into program arrays and maps of maps; not into maps that were there. */
  #fill(spec: MapSpec): void {
    const map = this.#maps[spec.name];
    if (!map || this.#options.maps?.[spec.name]) return;
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

function ownMap(map: RawMap, name: string): LinuxMap {
  if (map instanceof LinuxMap) return map;
  throw new TypeError(`map ${name} belongs to another machine`);
}

function collection(maps: Record<string, LinuxMap>, programs: Record<string, LinuxProgram>): LinuxCollection {
  return {
    maps,
    programs,
    close() {
      for (const each of [...Object.values(programs), ...Object.values(maps)]) each.close();
    },
  };
}
