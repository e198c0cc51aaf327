/**
 * @module
 * What is in maps after a run, as text: by the object's types, where it has them.
 */
import { codecOfType } from "@skep/machine";
import type { DataSection, ObjectSpec } from "@skep/object";
import { bytesText, mapReader, valueText } from "./values.ts";

export interface MapEntry {
  readonly key: string;
  readonly value: string;
}

export interface MapTable {
  readonly name: string;
  readonly type: string;
  readonly entries: readonly MapEntry[];
  /** Entries that are not shown. */
  readonly more: number;
}

/** A map of the one machine or the other. */
export interface MapSource {
  entries(): Iterable<readonly [key: Uint8Array, value: Uint8Array]>;
  /** The next of a queue or stack; null where it is empty. */
  pop(): Uint8Array | null;
  /** Of a ring: what has not been read. */
  records(): readonly Uint8Array[];
}

const MOST = 1000;

function variables(spec: ObjectSpec, data: DataSection, source: MapSource): MapEntry[] {
  const [section] = source.entries();
  const bytes = section?.[1] ?? new Uint8Array(0);
  return data.variables.map(({ name, offset, size, typeId }) => {
    const own = bytes.subarray(offset, offset + size);
    const value = spec.btf === undefined ? bytesText(own) : valueText(codecOfType(spec.btf, typeId).decode(own), name);
    return { key: name, value };
  });
}

function* popped(source: MapSource): Generator<Uint8Array> {
  for (let value = source.pop(); value !== null; value = source.pop()) yield value;
}

/** Numbered in the order in which they come out. */
const listed = (texts: Iterable<string>): MapEntry[] =>
  Array.from(texts, (value, i) => ({ key: String(i + 1), value }));

function entriesOf(spec: ObjectSpec, name: string, source: MapSource): MapEntry[] {
  const map = spec.maps[name];
  if (map === undefined) throw new Error(`the object has no map ${name}`);
  if (map.data !== undefined) return variables(spec, map.data, source);
  if (map.type === "ringbuf") return listed(source.records().map(bytesText));
  const reader = mapReader(spec, map);
  if (map.type === "queue" || map.type === "stack") return listed(Array.from(popped(source), reader.value));
  // Arrays are full from the beginning: what is zero says nothing.
  return Array.from(source.entries())
    .filter(([, value]) => !map.type.endsWith("array") || value.some((byte) => byte !== 0))
    .map(([key, value]) => ({ key: reader.key(key), value: reader.value(value) }));
}

/** The maps that a program can change. Queues, stacks and rings are empty afterwards. */
export function mapTables(spec: ObjectSpec, sourceOf: (name: string) => MapSource | null): MapTable[] {
  const names = Object.keys(spec.maps).filter((name) => spec.maps[name]?.data?.readOnly !== true);
  return names.flatMap((name) => {
    const source = sourceOf(name);
    if (source === null) return [];
    const entries = entriesOf(spec, name, source);
    const type = spec.maps[name]?.data === undefined ? (spec.maps[name]?.type ?? "") : "variables";
    return [{ name, type, entries: entries.slice(0, MOST), more: Math.max(0, entries.length - MOST) }];
  });
}
