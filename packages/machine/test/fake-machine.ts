import { splitRows } from "../src/rows.ts";
/**
 * A machine of maps in memory, for tests of what is built on the interface. Programs are names.
 */
import type { MapSpec, ObjectSpec } from "@skep/object";
import type {
  BpfMachine,
  Collection,
  Link,
  LoadOptions,
  OnRecordInPlace,
  Program,
  RawMap,
  RingReader,
} from "../src/machine.ts";

export const CPUS = 2;

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

class FakeError extends Error {
  readonly code: string;
  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

/** A ring that the test fills with `emit`. */
export class FakeRing implements RingReader {
  readonly #onRecord: (record: Uint8Array) => void;
  readonly #map: FakeMap;
  isStarted = false;
  isClosed = false;

  constructor(map: FakeMap, onRecord: (record: Uint8Array) => void) {
    this.#map = map;
    this.#onRecord = onRecord;
  }

  drain(): number {
    const records = this.#map.records.splice(0);
    for (const record of records) this.#onRecord(record);
    return records.length;
  }

  start(): void {
    this.isStarted = true;
    queueMicrotask(() => this.wake());
  }

  stop(): void {
    this.isStarted = false;
  }

  wake(): void {
    if (this.isStarted && !this.isClosed) this.drain();
  }

  close(): void {
    this.isClosed = true;
  }
}

export class FakeMap implements RawMap {
  readonly info: RawMap["info"];
  readonly rows = new Map<string, [Uint8Array, Uint8Array]>();
  readonly held = new Map<string, RawMap | Program>();
  readonly records: Uint8Array[] = [];
  ring: FakeRing | null = null;
  isFrozen = false;
  isClosed = false;
  /** Whether readers can be stopped. */
  canStop = true;

  constructor(spec: MapSpec, id: number) {
    const { name, type, keySize, valueSize, maxEntries, flags } = spec;
    this.info = { id, name, type, keySize, valueSize, maxEntries, flags };
    if (spec.data) this.set(new Uint8Array(4), spec.data.contents);
  }

  #value(value: Uint8Array): Uint8Array {
    const isPerCpu = this.info.type.includes("percpu");
    const size = isPerCpu ? Math.ceil(this.info.valueSize / 8) * 8 * CPUS : this.info.valueSize;
    if (value.length !== size) throw new RangeError(`${value.length} bytes for a value of ${size}`);
    return value.slice();
  }

  get(key: Uint8Array): Uint8Array | null {
    return this.rows.get(text(key))?.[1].slice() ?? null;
  }

  set(key: Uint8Array, value: Uint8Array, mode: "any" | "new" | "existing" = "any"): void {
    if (this.isFrozen) throw new FakeError("EPERM");
    if (key.length !== this.info.keySize) throw new RangeError(`${key.length} bytes for a key of ${this.info.keySize}`);
    const isThere = this.rows.has(text(key));
    if (mode === "new" && isThere) throw new FakeError("EEXIST");
    if (mode === "existing" && !isThere) throw new FakeError("ENOENT");
    this.rows.set(text(key), [key.slice(), this.#value(value)]);
  }

  delete(key: Uint8Array): boolean {
    this.held.delete(text(key));
    return this.rows.delete(text(key));
  }

  take(key: Uint8Array): Uint8Array | null {
    const value = this.get(key);
    this.delete(key);
    return value;
  }

  mayHold(value: Uint8Array): boolean {
    return [...this.rows.values()].some(([, each]) => text(each) === text(value));
  }

  entries(): IterableIterator<[Uint8Array, Uint8Array]> {
    return [...this.rows.values()]
      .map(([key, value]): [Uint8Array, Uint8Array] => [key.slice(), value.slice()])
      .values();
  }

  setAll(entries: Iterable<readonly [Uint8Array, Uint8Array]>): void {
    for (const [key, value] of entries) this.set(key, value);
  }

  deleteAll(keys: Iterable<Uint8Array>): void {
    for (const key of keys) this.delete(key);
  }

  *keyRows(): IterableIterator<Uint8Array> {
    for (const [key] of this.entries()) yield key;
  }

  setRows(keys: Uint8Array, value: Uint8Array): void {
    for (const key of splitRows(keys, this.info.keySize)) this.set(key, value);
  }

  deleteRows(keys: Uint8Array): void {
    for (const key of splitRows(keys, this.info.keySize)) this.delete(key);
  }

  freeze(): void {
    this.isFrozen = true;
  }

  pin(): void {
    throw new FakeError("EINVAL");
  }

  setMap(key: Uint8Array, inner: RawMap): void {
    this.held.set(text(key), inner);
    this.rows.set(text(key), [key.slice(), Uint8Array.of(inner.info.id, 0, 0, 0)]);
  }

  setMaps(entries: Iterable<readonly [Uint8Array, RawMap]>): void {
    for (const [key, inner] of entries) this.setMap(key, inner);
  }

  getMap(key: Uint8Array): RawMap | null {
    const held = this.held.get(text(key));
    return held instanceof FakeMap ? held : null;
  }

  setProgram(key: Uint8Array, program: Program): void {
    this.held.set(text(key), program);
    this.rows.set(text(key), [key.slice(), new Uint8Array(4)]);
  }

  readRing(onRecord: (record: Uint8Array) => void): RingReader {
    this.ring = new FakeRing(this, onRecord);
    if (!this.canStop) Object.defineProperty(this.ring, "stop", { value: undefined });
    return this.ring;
  }

  readRingInPlace(onRecord: OnRecordInPlace): RingReader {
    return this.readRing((record) => onRecord(new DataView(record.buffer), record.byteOffset, record.byteLength));
  }

  /** What a program does. */
  emit(record: Uint8Array): void {
    this.records.push(record);
    this.ring?.wake();
  }

  close(): void {
    this.isClosed = true;
  }
}

export interface FakeCollection extends Collection {
  readonly maps: Readonly<Record<string, FakeMap>>;
}

/** `loads`: what was asked for, in order. */
export interface FakeBpf extends BpfMachine {
  readonly loads: { readonly spec: ObjectSpec; readonly options: LoadOptions; readonly collection: FakeCollection }[];
}

function fakeProgram(name: string): Program {
  return {
    name,
    info: { id: 1, type: "sched_cls", tag: "" },
    pin: () => undefined,
    test: () => {
      throw new FakeError("ENOTSUPP");
    },
    close: () => undefined,
  };
}

const refuse = (): never => {
  throw new FakeError("ENOSYS");
};

export function fakeBpf(): FakeBpf {
  let nextId = 1;
  const loads: FakeBpf["loads"] = [];
  const load = (spec: ObjectSpec, options: LoadOptions = {}): FakeCollection => {
    const maps: Record<string, FakeMap> = {};
    for (const [name, map] of Object.entries(spec.maps)) maps[name] = new FakeMap(map, nextId++);
    for (const [name, map] of Object.entries(spec.maps)) if (map.data?.readOnly) maps[name]?.freeze();
    const programs = Object.fromEntries(Object.keys(spec.programs).map((name) => [name, fakeProgram(name)]));
    const close = (): void => Object.values(maps).forEach((map) => map.close());
    const collection = { maps, programs, close };
    loads.push({ spec, options, collection });
    return collection;
  };
  return {
    possibleCpus: CPUS,
    loads,
    load,
    createMap: (spec) => new FakeMap(spec, nextId++),
    openMap: () => null,
    openLink: () => null,
    openProgram: () => null,
    programOf: () => null,
    preparePins: refuse,
    pins: () => [],
    unpin: refuse,
    removePins: refuse,
    attach: (program): Link => ({
      info: { id: 7, programId: program.info.id, type: "tcx" },
      isAttached: () => true,
      update: refuse,
      pin: refuse,
      detach: refuse,
      close: () => undefined,
    }),
  };
}
