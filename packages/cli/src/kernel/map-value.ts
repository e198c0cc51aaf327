/**
 * @module
 * Keys and values of a map, as bytes and as what its types make of them.
 */
import { type LinuxMap, possibleCpus } from "@skep/linux";
import { type DataType, parseData } from "./values/data.ts";
import { type Reader, readerOf, type Style } from "./values/decode.ts";
import { HexBytes, type Tree } from "./tree.ts";
import { type MapTypes, typesOfMap } from "./types.ts";

const perCpuTypes = new Set(["percpu_hash", "percpu_array", "lru_percpu_hash", "percpu_cgroup_storage"]);
const hexList = (bytes: Uint8Array): HexBytes => new HexBytes(bytes);
const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Values of per-CPU maps stand in steps of eight bytes. */
const stepOf = (size: number): number => Math.ceil(size / 8) * 8;

export class MapValues {
  readonly map: LinuxMap;
  readonly isPerCpu: boolean;
  readonly types: MapTypes | null;
  readonly #readers = new Map<string, Reader>();

  constructor(map: LinuxMap) {
    this.map = map;
    this.isPerCpu = perCpuTypes.has(map.info.type);
    this.types = typesOfMap(map);
  }

  #reader(side: "key" | "value", style: Style): Reader | null {
    const typeId = side === "key" ? this.types?.keyTypeId : this.types?.valueTypeId;
    if (!this.types || !typeId) return null;
    const name = `${side} ${style}`;
    const known = this.#readers.get(name);
    if (known) return known;
    const made = readerOf(this.types.types, typeId, style);
    this.#readers.set(name, made);
    return made;
  }

  /** The key by its type; null where it has none. */
  key(key: Uint8Array, style: Style): Tree | null {
    return this.#reader("key", style)?.(viewOf(key), 0) ?? null;
  }

  value(value: Uint8Array, style: Style): Tree | null {
    return this.#reader("value", style)?.(viewOf(value), 0) ?? null;
  }

  /** Each CPU's value. */
  split(value: Uint8Array): Uint8Array[] {
    const { valueSize } = this.map.info;
    const step = stepOf(valueSize);
    return Array.from({ length: possibleCpus() }, (_, cpu) => value.subarray(cpu * step, cpu * step + valueSize));
  }

  /** As an entry of `bpftool -j map dump`. */
  entry(key: Uint8Array, value: Uint8Array): Tree {
    const isTyped = this.types !== null;
    const formattedKey = this.types?.keyTypeId ? this.key(key, "bpftool") : undefined;
    if (this.isPerCpu) {
      const each = this.split(value);
      return {
        key: hexList(key),
        values: each.map((one, cpu) => ({ cpu, value: hexList(one) })),
        formatted: isTyped
          ? { key: formattedKey, values: each.map((one, cpu) => ({ cpu, value: this.value(one, "bpftool") })) }
          : undefined,
      };
    }
    return {
      key: hexList(key),
      value: hexList(value),
      formatted: isTyped ? { key: formattedKey, value: this.value(value, "bpftool") } : undefined,
    };
  }

  #dataType(what: "key" | "value"): DataType {
    const { info } = this.map;
    const size = what === "key" ? info.keySize : info.valueSize;
    const typeId = what === "key" ? this.types?.keyTypeId : this.types?.valueTypeId;
    return { what, size, ...(this.types && typeId ? { types: this.types.types, typeId } : {}) };
  }

  parseKey(words: readonly string[]): Uint8Array {
    return parseData(words, this.#dataType("key"));
  }

  /** For per-CPU maps the same value for every CPU, as bpftool does. */
  parseValue(words: readonly string[]): Uint8Array {
    const value = parseData(words, this.#dataType("value"));
    if (!this.isPerCpu) return value;
    const step = stepOf(this.map.info.valueSize);
    const all = new Uint8Array(step * possibleCpus());
    for (let cpu = 0; cpu < possibleCpus(); cpu++) all.set(value, cpu * step);
    return all;
  }
}
