/**
 * @module
 * What a function under evaluation sees of the world: maps, data sections, context, helpers.
 */
import type { MapSpec } from "@skep/object";
import { EvaluationError, Memory } from "./memory.ts";

/** Arguments are as in registers: unsigned 64 bits. `call` runs a function of the module, for callbacks. */
export type HelperFunction = (args: readonly bigint[], environment: Environment) => bigint;

export interface EnvironmentOptions {
  readonly byteOrder?: "little" | "big";
  readonly maps?: readonly MapSpec[];
  readonly data?: readonly MapSpec[];
  /** Beyond lookup, update and delete of array and hash maps, which are there. */
  readonly helpers?: Readonly<Record<number, HelperFunction>>;
  readonly kfuncs?: Readonly<Record<string, HelperFunction>>;
  readonly ksyms?: Readonly<Record<string, bigint>>;
  /** Pointers that the context holds, by offset: what a load of a pointer there gives, whatever its size. */
  readonly contextPointers?: Readonly<Record<number, bigint>>;
  readonly memory?: Memory;
}

/** A map as the evaluator has it: values by the key's bytes in hexadecimal. */
export interface EvaluatedMap {
  readonly spec: MapSpec;
  readonly handle: bigint;
  /** Addresses of values. */
  readonly values: Map<string, bigint>;
}

const EEXIST = -17n;
const ENOENT = -2n;
const E2BIG = -7n;

export class Environment {
  readonly memory: Memory;
  readonly maps = new Map<string, EvaluatedMap>();
  readonly #byHandle = new Map<bigint, EvaluatedMap>();
  readonly #data = new Map<string, bigint>();
  readonly #options: EnvironmentOptions;
  /** Set while evaluating: runs a function of the module by its address. */
  callFunction: ((address: bigint, args: readonly bigint[]) => bigint) | undefined;

  constructor(options: EnvironmentOptions = {}) {
    this.#options = options;
    this.memory = options.memory ?? new Memory(options);
    for (const spec of options.maps ?? []) {
      const map = { spec, handle: this.memory.allocate(0), values: new Map<string, bigint>() };
      this.maps.set(spec.name, map);
      this.#byHandle.set(map.handle, map);
      if (isArray(spec)) this.#fillArray(map);
    }
    for (const section of options.data ?? []) {
      const contents = section.data?.contents ?? new Uint8Array(section.valueSize);
      this.#data.set(section.name, this.memory.allocate(contents.slice()));
    }
  }

  mapHandle(name: string): bigint {
    const map = this.maps.get(name);
    if (map === undefined) throw new EvaluationError(`no map ${name}`);
    return map.handle;
  }

  dataAddress(section: string): bigint {
    const address = this.#data.get(section);
    if (address === undefined) throw new EvaluationError(`no data section ${section}`);
    return address;
  }

  contextPointer(offset: number): bigint | undefined {
    return this.#options.contextPointers?.[offset];
  }

  ksym(name: string): bigint {
    return this.#options.ksyms?.[name] ?? 0n;
  }

  callHelper(helper: number, args: readonly bigint[]): bigint {
    const own = this.#options.helpers?.[helper];
    if (own) return BigInt.asUintN(64, own(args, this));
    const [map, key, value, flags] = args;
    switch (helper) {
      case 1:
        return this.lookup(this.#mapOf(map), key as bigint);
      case 2:
        return BigInt.asUintN(
          64,
          this.#update(this.#mapOf(map), { key: key as bigint, value: value as bigint, flags: flags ?? 0n }),
        );
      case 3:
        return BigInt.asUintN(64, this.#delete(this.#mapOf(map), key as bigint));
      default:
        throw new EvaluationError(`helper ${helper} is not in the environment`);
    }
  }

  callKfunc(name: string, args: readonly bigint[]): bigint {
    const own = this.#options.kfuncs?.[name];
    if (!own) throw new EvaluationError(`kfunc ${name} is not in the environment`);
    return BigInt.asUintN(64, own(args, this));
  }

  /** The address of the key's value, or 0. */
  lookup(map: EvaluatedMap, key: bigint): bigint {
    return map.values.get(this.#key(map, key)) ?? 0n;
  }

  #mapOf(handle: bigint | undefined): EvaluatedMap {
    const map = this.#byHandle.get(handle ?? 0n);
    if (map === undefined) throw new EvaluationError("the first argument is no map");
    return map;
  }

  #key(map: EvaluatedMap, key: bigint): string {
    return hex(this.memory.bytes(key, map.spec.keySize));
  }

  #update(map: EvaluatedMap, entry: { key: bigint; value: bigint; flags: bigint }): bigint {
    const name = this.#key(map, entry.key);
    const contents = this.memory.bytes(entry.value, map.spec.valueSize);
    const known = map.values.get(name);
    if (isArray(map.spec) && known === undefined) return E2BIG;
    if (entry.flags === 1n && known !== undefined) return EEXIST;
    if (entry.flags === 2n && known === undefined) return ENOENT;
    if (known !== undefined) this.memory.bytes(known, contents.byteLength).set(contents);
    else if (map.values.size >= map.spec.maxEntries) return E2BIG;
    else map.values.set(name, this.memory.allocate(contents.slice()));
    return 0n;
  }

  #delete(map: EvaluatedMap, key: bigint): bigint {
    if (isArray(map.spec)) return -22n;
    return map.values.delete(this.#key(map, key)) ? 0n : ENOENT;
  }

  #fillArray(map: EvaluatedMap): void {
    for (let i = 0; i < map.spec.maxEntries; i++) {
      const key = this.memory.allocate(4);
      this.memory.write(key, BigInt(i), 4);
      map.values.set(this.#key(map, key), this.memory.allocate(map.spec.valueSize));
    }
  }
}

const isArray = (spec: MapSpec): boolean => spec.type === "array" || spec.type === "percpu_array";

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
