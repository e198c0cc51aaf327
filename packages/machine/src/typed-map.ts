/**
 * @module
 * Maps with values instead of bytes.
 */
import type { Loose, UpdateMode } from "@skep/bpf";
import type { MapSpec } from "@skep/object";
import type { ValueCodec } from "./codec/codec.ts";
import type { BpfMachine, Program, RawMap } from "./machine.ts";
import { decodeValues, encodeValues, type PerCpu } from "./per-cpu.ts";

export interface MapTypes<K, V> {
  readonly key: ValueCodec<K>;
  readonly value: ValueCodec<V>;
}

const perCpuTypes: ReadonlySet<string> = new Set([
  "percpu_hash",
  "percpu_array",
  "lru_percpu_hash",
  "percpu_cgroup_storage",
]);

export const isPerCpu = (type: string): boolean => perCpuTypes.has(type);

/** A map whose keys and values are those of the kernel program. Values are copies; absence is null. Kernel refusals are thrown as the raw map throws them. */
export interface TypedMap<K, V> extends Iterable<[K, V]> {
  readonly raw: RawMap;
  get(key: Loose<K>): V | null;
  has(key: Loose<K>): boolean;
  /** `any` makes or replaces, `new` fails with EEXIST, `existing` with ENOENT. */
  set(key: Loose<K>, value: Loose<V>, mode?: UpdateMode): void;
  /** False where the key was absent. */
  delete(key: Loose<K>): boolean;
  /** A snapshot that tolerates concurrent change. */
  entries(): IterableIterator<[K, V]>;
  keys(): IterableIterator<K>;
  values(): IterableIterator<V>;
  setAll(entries: Iterable<readonly [key: Loose<K>, value: Loose<V>]>): void;
  deleteAll(keys: Iterable<Loose<K>>): void;
  clear(): void;
  pin(path: string): void;
  close(): void;
}

/** A map with a value for each CPU. `set` wants one value per possible CPU. */
export type PerCpuMap<K, V> = Omit<TypedMap<K, PerCpu<V>>, "set" | "setAll"> & {
  set(key: Loose<K>, values: readonly Loose<V>[], mode?: UpdateMode): void;
  setAll(entries: Iterable<readonly [key: Loose<K>, values: readonly Loose<V>[]]>): void;
};

/** A value's codec, or that of all CPUs' values together. */
interface Coding<K, V, W> {
  readonly key: ValueCodec<K>;
  encode(value: W): Uint8Array;
  decode(bytes: Uint8Array): V;
}

class CodedMap<K, V, W> {
  readonly raw: RawMap;
  readonly #coding: Coding<K, V, W>;

  constructor(raw: RawMap, coding: Coding<K, V, W>) {
    this.raw = raw;
    this.#coding = coding;
  }

  get(key: Loose<K>): V | null {
    const bytes = this.raw.get(this.#coding.key.encode(key));
    return bytes === null ? null : this.#coding.decode(bytes);
  }

  has(key: Loose<K>): boolean {
    return this.raw.get(this.#coding.key.encode(key)) !== null;
  }

  set(key: Loose<K>, value: W, mode?: UpdateMode): void {
    this.raw.set(this.#coding.key.encode(key), this.#coding.encode(value), mode);
  }

  delete(key: Loose<K>): boolean {
    return this.raw.delete(this.#coding.key.encode(key));
  }

  *entries(): IterableIterator<[K, V]> {
    const { key, decode } = this.#coding;
    for (const [keyBytes, valueBytes] of this.raw.entries()) yield [key.decode(keyBytes), decode(valueBytes)];
  }

  [Symbol.iterator](): IterableIterator<[K, V]> {
    return this.entries();
  }

  *keys(): IterableIterator<K> {
    for (const [bytes] of this.raw.entries()) yield this.#coding.key.decode(bytes);
  }

  *values(): IterableIterator<V> {
    for (const [, bytes] of this.raw.entries()) yield this.#coding.decode(bytes);
  }

  setAll(entries: Iterable<readonly [key: Loose<K>, value: W]>): void {
    const { key, encode } = this.#coding;
    this.raw.setAll(mapped(entries, ([each, value]) => [key.encode(each), encode(value)] as const));
  }

  deleteAll(keys: Iterable<Loose<K>>): void {
    const { key } = this.#coding;
    this.raw.deleteAll(mapped(keys, (each) => key.encode(each)));
  }

  clear(): void {
    this.raw.deleteAll([...this.raw.entries()].map(([key]) => key));
  }

  pin(path: string): void {
    this.raw.pin(path);
  }

  close(): void {
    this.raw.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function* mapped<A, B>(items: Iterable<A>, change: (item: A) => B): IterableIterator<B> {
  for (const item of items) yield change(item);
}

/** The bytes of `types` are not those of the map. */
export class MapTypeError extends TypeError {
  override readonly name = "MapTypeError";
}

function checkSizes<K, V>(raw: RawMap, types: MapTypes<K, V>): void {
  const { name, keySize, valueSize } = raw.info;
  if (types.key.size !== keySize)
    throw new MapTypeError(`map ${name} has keys of ${keySize} bytes, the type has ${types.key.size}`);
  if (types.value.size !== valueSize)
    throw new MapTypeError(`map ${name} has values of ${valueSize} bytes, the type has ${types.value.size}`);
}

/** Throws `MapTypeError` where sizes differ, or the map is per CPU. */
export function typedMap<K, V>(raw: RawMap, types: MapTypes<K, V>): TypedMap<K, V> {
  checkSizes(raw, types);
  if (isPerCpu(raw.info.type)) throw new MapTypeError(`map ${raw.info.name} is per CPU: use perCpuMap`);
  const { key, value } = types;
  return new CodedMap<K, V, Loose<V>>(raw, {
    key,
    encode: (each) => value.encode(each),
    decode: (bytes) => value.decode(bytes),
  });
}

/** Throws `MapTypeError` where sizes differ, or the map is not per CPU. */
export function perCpuMap<K, V>(raw: RawMap, types: MapTypes<K, V>): PerCpuMap<K, V> {
  checkSizes(raw, types);
  if (!isPerCpu(raw.info.type)) throw new MapTypeError(`map ${raw.info.name} is not per CPU: use typedMap`);
  const { key, value } = types;
  return new CodedMap<K, PerCpu<V>, readonly Loose<V>[]>(raw, {
    key,
    encode: (values) => encodeValues(value, values),
    decode: (bytes) => decodeValues(value, bytes),
  });
}

// ---- maps that hold objects ----

/** A map of maps. What it holds cannot be read back as a map, only replaced. */
export interface TypedMapOfMaps<K, M> {
  readonly raw: RawMap;
  set(key: Loose<K>, inner: { readonly raw: RawMap }): void;
  delete(key: Loose<K>): boolean;
  has(key: Loose<K>): boolean;
  keys(): IterableIterator<K>;
  /** A new inner map, not yet in this one; close it once it is. */
  createInner(): M;
  close(): void;
}

export interface MapOfMapsParts<K, M> {
  readonly key: ValueCodec<K>;
  readonly inner: MapSpec;
  readonly bpf: Pick<BpfMachine, "createMap">;
  typed(raw: RawMap): M;
}

export function mapOfMaps<K, M>(raw: RawMap, parts: MapOfMapsParts<K, M>): TypedMapOfMaps<K, M> {
  const { key } = parts;
  return {
    raw,
    set: (each, inner) => raw.setMap(key.encode(each), inner.raw),
    delete: (each) => raw.delete(key.encode(each)),
    has: (each) => raw.get(key.encode(each)) !== null,
    *keys() {
      for (const [bytes] of raw.entries()) yield key.decode(bytes);
    },
    createInner: () => parts.typed(parts.bpf.createMap(parts.inner)),
    close: () => raw.close(),
  };
}

/** The targets of tail calls. */
export interface TypedProgArray {
  readonly raw: RawMap;
  set(index: number, program: Program): void;
  delete(index: number): boolean;
  close(): void;
}

function indexBytes(index: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, index, true);
  return bytes;
}

export function progArray(raw: RawMap): TypedProgArray {
  return {
    raw,
    set: (index, program) => raw.setProgram(indexBytes(index), program),
    delete: (index) => raw.delete(indexBytes(index)),
    close: () => raw.close(),
  };
}
