import {
  type MapInfo,
  type OnRecordInPlace,
  type Program,
  type RawMap,
  type RingReader,
  splitRows,
} from "@skep/machine";
import { BloomMap, MapOfMaps, RingMap, type VmMap } from "@skep/vm";
import { NotSupportedError, SimError } from "../error.ts";
import type { SimBpf } from "./machine.ts";
import type { MapObject } from "./objects.ts";

const keyText = (key: Uint8Array): string => key.join();

/** A handle on a map. */
export class SimMap implements RawMap {
  readonly info: MapInfo;
  readonly #object: MapObject;
  readonly #bpf: SimBpf;
  #isClosed = false;

  constructor(object: MapObject, bpf: SimBpf) {
    object.retain();
    this.#object = object;
    this.#bpf = bpf;
    const { id, spec } = object.map;
    const { name, type, keySize, valueSize, maxEntries, flags } = spec;
    this.info = { id, type, name, keySize, valueSize, maxEntries, flags };
  }

  /** Throws EBADF once closed. */
  get object(): MapObject {
    if (this.#isClosed) throw new SimError("EBADF", `map ${this.info.name} is closed`);
    return this.#object;
  }

  get #map(): VmMap {
    return this.object.map;
  }

  get(key: Uint8Array): Uint8Array | null {
    return this.#map.get(key);
  }

  set(key: Uint8Array, value: Uint8Array, mode: "any" | "new" | "existing" = "any"): void {
    this.#map.set(key, value, mode);
  }

  delete(key: Uint8Array): boolean {
    const deleted = this.#map.delete(key);
    if (deleted) this.object.hold(keyText(key), null);
    return deleted;
  }

  take(key: Uint8Array): Uint8Array | null {
    return this.#map.take(key);
  }

  mayHold(value: Uint8Array): boolean {
    const { map } = this.object;
    if (!(map instanceof BloomMap)) throw new SimError("EINVAL", `map ${this.info.name} is no bloom filter`);
    return map.has(value);
  }

  *entries(): IterableIterator<[key: Uint8Array, value: Uint8Array]> {
    yield* this.#map.entries();
  }

  setAll(entries: Iterable<readonly [key: Uint8Array, value: Uint8Array]>): void {
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
    this.#map.freeze();
  }

  pin(path: string): void {
    this.#bpf.tree.pin(path, this.object);
  }

  setMap(key: Uint8Array, inner: RawMap): void {
    const object = this.#bpf.mapObject(inner);
    if (!(this.#map instanceof MapOfMaps)) throw new SimError("EINVAL", `map ${this.info.name} holds no maps`);
    this.#bpf.vm.setMap(this.#map, key, object.map);
    this.object.hold(keyText(key), object);
  }

  setMaps(entries: Iterable<readonly [key: Uint8Array, inner: RawMap]>): void {
    for (const [key, inner] of entries) this.setMap(key, inner);
  }

  getMap(key: Uint8Array): RawMap | null {
    const inner = this.object.inner(keyText(key));
    return inner && new SimMap(inner, this.#bpf);
  }

  setProgram(key: Uint8Array, program: Program): void {
    const object = this.#bpf.programObject(program);
    const index = new DataView(key.buffer, key.byteOffset, 4).getUint32(0, true);
    this.#bpf.vm.setProgram(this.#map, index, object.program);
    this.object.hold(keyText(key), object);
  }

  readRing(onRecord: (record: Uint8Array) => void): RingReader {
    const { map } = this.object;
    if (!(map instanceof RingMap)) throw new NotSupportedError(`reader for maps of type ${this.info.type}`);
    return this.#bpf.readRing(map, onRecord);
  }

  readRingInPlace(onRecord: OnRecordInPlace): RingReader {
    return this.readRing((record) => onRecord(new DataView(record.buffer), record.byteOffset, record.byteLength));
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#object.release();
  }
}
