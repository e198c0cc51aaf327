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
  /** The value that was there, which is gone; null where there was none. For hashes. */
  take(key: Loose<K>): V | null;
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

  take(key: Loose<K>): V | null {
    const bytes = this.raw.take(this.#coding.key.encode(key));
    return bytes === null ? null : this.#coding.decode(bytes);
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

/** A map of maps. */
export interface TypedMapOfMaps<K, M> {
  readonly raw: RawMap;
  set(key: Loose<K>, inner: { readonly raw: RawMap }): void;
  /** A handle of its own, to be closed; null where there is none. */
  get(key: Loose<K>): M | null;
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
    get(each) {
      const inner = raw.getMap(key.encode(each));
      return inner && parts.typed(inner);
    },
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

// ---- maps without keys ----

const noKey = new Uint8Array(0);

/** A queue or a stack. */
export interface TypedQueue<V> {
  readonly raw: RawMap;
  /** Fails with E2BIG where it is full, unless `replaceOldest`. */
  push(value: Loose<V>, options?: { readonly replaceOldest?: boolean }): void;
  /** Takes the next value; null where it is empty. */
  pop(): V | null;
  /** The next value, which stays. */
  peek(): V | null;
  close(): void;
}

function checkValue(raw: RawMap, value: ValueCodec<unknown>): void {
  const { name, valueSize } = raw.info;
  if (value.size !== valueSize)
    throw new MapTypeError(`map ${name} has values of ${valueSize} bytes, the type has ${value.size}`);
}

/** Throws `MapTypeError` where sizes differ. */
export function typedQueue<V>(raw: RawMap, value: ValueCodec<V>): TypedQueue<V> {
  checkValue(raw, value as ValueCodec<unknown>);
  const decoded = (bytes: Uint8Array | null): V | null => (bytes === null ? null : value.decode(bytes));
  return {
    raw,
    // BPF_EXIST makes room in queues and stacks (queue_stack_map_push_elem).
    push: (each, options) => raw.set(noKey, value.encode(each), options?.replaceOldest ? "existing" : "any"),
    pop: () => decoded(raw.take(noKey)),
    peek: () => decoded(raw.get(noKey)),
    close: () => raw.close(),
  };
}

export interface TypedBloomFilter<V> {
  readonly raw: RawMap;
  add(value: Loose<V>): void;
  /** False is certain. */
  mayHold(value: Loose<V>): boolean;
  close(): void;
}

/** Throws `MapTypeError` where sizes differ. */
export function typedBloomFilter<V>(raw: RawMap, value: ValueCodec<V>): TypedBloomFilter<V> {
  checkValue(raw, value as ValueCodec<unknown>);
  return {
    raw,
    add: (each) => raw.set(noKey, value.encode(each)),
    mayHold: (each) => raw.mayHold(value.encode(each)),
    close: () => raw.close(),
  };
}

// ---- maps of descriptors and stacks ----

/** Values by the descriptor of their owner: a socket, a process (pidfd), a file, a cgroup's folder. */
export type TypedStorage<V> = Pick<TypedMap<number, V>, "raw" | "get" | "has" | "set" | "delete" | "close">;

/** Sockets, cgroups, interfaces, CPUs: numbers go in, and what is held cannot be read back as such. */
export interface TypedReferences<K> {
  readonly raw: RawMap;
  /** `value`: a descriptor of a socket or cgroup; of redirect maps the index of an interface, the queue size of a CPU. */
  set(key: Loose<K>, value: number): void;
  delete(key: Loose<K>): boolean;
  close(): void;
}

export function references<K>(raw: RawMap, key: ValueCodec<K>): TypedReferences<K> {
  return {
    raw,
    set(each, value) {
      // Where a program's descriptor follows (bpf_devmap_val, bpf_cpumap_val) zero is none.
      const bytes = new Uint8Array(raw.info.valueSize);
      new DataView(bytes.buffer).setUint32(0, value, true);
      raw.set(key.encode(each), bytes);
    },
    delete: (each) => raw.delete(key.encode(each)),
    close: () => raw.close(),
  };
}

/** Stacks by the number that the program got. */
export interface TypedStacks {
  readonly raw: RawMap;
  /** Return addresses, the innermost first; null where there is no such stack. */
  get(id: number): bigint[] | null;
  delete(id: number): boolean;
  close(): void;
}

export function stackTraces(raw: RawMap): TypedStacks {
  return {
    raw,
    get(id) {
      const bytes = raw.get(indexBytes(id));
      if (!bytes) return null;
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      const frames = Array.from({ length: bytes.length >> 3 }, (_, at) => view.getBigUint64(at * 8, true));
      const end = frames.indexOf(0n);
      return end < 0 ? frames : frames.slice(0, end);
    },
    delete: (id) => raw.delete(indexBytes(id)),
    close: () => raw.close(),
  };
}
