/**
 * @module
 * Map operations in batches (generic_map_*_batch, kernel/bpf/syscall.c, and the hash table's own). Which types have them is not
 * asked of the kernel: an old one refuses the command, which is remembered.
 */
import { Attributes, bpfChecked, type Command } from "./attributes.ts";

export interface Shape {
  readonly fd: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
}

export type Entry = [key: Uint8Array, value: Uint8Array];

const lazy = new Set([
  "hash",
  "lru_hash",
  "percpu_hash",
  "lru_percpu_hash",
  "array",
  "percpu_array",
  "hash_of_maps",
  "array_of_maps",
]);
const ENOENT = -2;
const ENOSPC = -28;
// EINVAL from kernels before 5.6, EOPNOTSUPP and ENOTSUPP from types without the operation.
const unsupported = new Set([-22, -95, -524]);
const CHUNK = 4096;
const CHUNK_BYTES = 1 << 20;

/** Entries of one batch: bounded in number and in bytes. */
function chunkOf(shape: Shape): number {
  return Math.max(1, Math.min(CHUNK, Math.floor(CHUNK_BYTES / (shape.keySize + shape.valueSize))));
}

/**
 * `lazy`: batches by bucket or index, which deleting in between does not disturb. `snapshot`: batches that continue after a key,
 * which must not be deleted until the whole is read.
 */
export function batchOf(type: string): "lazy" | "snapshot" | "none" {
  if (lazy.has(type)) return "lazy";
  return type === "lpm_trie" ? "snapshot" : "none";
}

interface Cursor {
  readonly keys: Uint8Array;
  readonly values: Uint8Array;
  readonly count: number;
  readonly atEnd: boolean;
}

/** One batch after another; null where the kernel has no batches for this map. */
class BatchReader {
  readonly #shape: Shape;
  readonly #command: "map_lookup_batch" | "map_lookup_and_delete_batch";
  /** The kernel's place: a bucket's number, or a key. */
  readonly #place: [Uint8Array, Uint8Array];
  #isFirst = true;
  #size: number;

  constructor(shape: Shape, takes = false) {
    this.#shape = shape;
    this.#command = takes ? "map_lookup_and_delete_batch" : "map_lookup_batch";
    const bytes = Math.max(shape.keySize, 4);
    this.#place = [new Uint8Array(bytes), new Uint8Array(bytes)];
    this.#size = Math.min(chunkOf(shape), Math.max(1, shape.maxEntries));
  }

  next(): Cursor | null {
    for (;;) {
      const { fd, keySize, valueSize } = this.#shape;
      const keys = new Uint8Array(this.#size * keySize);
      const values = new Uint8Array(this.#size * valueSize);
      const attributes = new Attributes()
        .pointer(0, this.#isFirst ? null : this.#place[0])
        .pointer(8, this.#place[1])
        .pointer(16, keys)
        .pointer(24, values)
        .u32(32, this.#size)
        .u32(36, fd);
      const result = attributes.try(this.#command);
      // A bucket that holds more than fits.
      if (result === ENOSPC) {
        this.#size *= 2;
        continue;
      }
      if (this.#isFirst && unsupported.has(result)) return null;
      // The end is ENOENT together with what was read before it.
      const atEnd = result === ENOENT;
      if (!atEnd) bpfChecked(this.#command, result);
      this.#place.reverse();
      this.#isFirst = false;
      return { keys, values, count: attributes.readU32(32), atEnd };
    }
  }
}

function* split(shape: Shape, cursor: Cursor): Generator<Entry> {
  const { keySize, valueSize } = shape;
  for (let at = 0; at < cursor.count; at++) {
    yield [
      cursor.keys.slice(at * keySize, (at + 1) * keySize),
      cursor.values.slice(at * valueSize, (at + 1) * valueSize),
    ];
  }
}

/** For `lazy` types; the batches are read as the iteration goes. Null where the kernel has none. */
export function entriesByBatch(shape: Shape): Generator<Entry> | null {
  const reader = new BatchReader(shape);
  const first = reader.next();
  return first === null ? null : follow(shape, reader, first);
}

/** Everything, which is gone from the map. Null where the kernel has no such batches for this map: nothing was taken then. */
export function takeBatch(shape: Shape): Entry[] | null {
  const reader = new BatchReader(shape, true);
  const first = reader.next();
  return first === null ? null : [...follow(shape, reader, first)];
}

function* follow(shape: Shape, reader: BatchReader, first: Cursor): Generator<Entry> {
  for (let cursor: Cursor | null = first; cursor !== null; cursor = cursor.atEnd ? null : reader.next()) {
    yield* split(shape, cursor);
    if (cursor.atEnd) return;
  }
}

/** For `snapshot` types: everything at once, without duplicates. Null where the kernel has no batches. */
export function snapshotByBatch(shape: Shape): Entry[] | null {
  const entries = entriesByBatch(shape);
  if (entries === null) return null;
  // A key deleted by somebody else sends the kernel back to the first.
  const found = new Map<string, Entry>();
  let repeated = 0;
  for (const entry of entries) {
    const text = String.fromCharCode(...entry[0]);
    if (found.has(text) && ++repeated > shape.maxEntries) break;
    found.set(text, entry);
  }
  return [...found.values()];
}

interface Rows {
  readonly shape: Shape;
  readonly command: Command;
  readonly keys: Uint8Array;
  readonly values: Uint8Array | null;
  readonly count: number;
}

/** How many were done, and the result of the call. */
function runRows(rows: Rows, from: number): { done: number; result: number } {
  const { shape, keys, values, count } = rows;
  const attributes = new Attributes()
    .pointer(16, keys.subarray(from * shape.keySize))
    .pointer(24, values === null ? null : values.subarray(from * shape.valueSize))
    .u32(32, count - from)
    .u32(36, shape.fd);
  const result = attributes.try(rows.command);
  return { done: result === 0 ? count - from : attributes.readU32(32), result };
}

function check(shape: Shape, bytes: Uint8Array, what: "key" | "value"): void {
  const size = what === "key" ? shape.keySize : shape.valueSize;
  if (bytes.byteLength !== size) throw new RangeError(`a ${what} of ${bytes.byteLength} bytes instead of ${size}`);
}

/** False where the kernel has no batches for this map: nothing was written then. */
export function updateBatch(shape: Shape, entries: readonly (readonly [Uint8Array, Uint8Array])[]): boolean {
  for (const [key, value] of entries) {
    check(shape, key, "key");
    check(shape, value, "value");
  }
  const chunk = chunkOf(shape);
  for (let from = 0; from < entries.length; from += chunk) {
    const part = entries.slice(from, from + chunk);
    const keys = joined(part.map(([key]) => key));
    const values = joined(part.map(([, value]) => value));
    const { result } = runRows({ shape, command: "map_update_batch", keys, values, count: part.length }, 0);
    if (from === 0 && unsupported.has(result)) return false;
    bpfChecked("map_update_batch", result);
  }
  return true;
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const size = parts[0]?.byteLength ?? 0;
  const bytes = new Uint8Array(parts.length * size);
  for (const [at, part] of parts.entries()) bytes.set(part, at * size);
  return bytes;
}

/** Absent keys are passed over. False where the kernel has no batches for this map: nothing was deleted then. */
export function deleteBatch(shape: Shape, keys: readonly Uint8Array[]): boolean {
  for (const key of keys) check(shape, key, "key");
  return deleteRows(shape, joined(keys));
}

/** The same for keys one behind the other. */
export function deleteRows(shape: Shape, keys: Uint8Array): boolean {
  const rows: Rows = { shape, command: "map_delete_batch", keys, values: null, count: countOf(shape, keys) };
  for (let from = 0; from < rows.count;) {
    const { done, result } = runRows(rows, from);
    if (from === 0 && done === 0 && unsupported.has(result)) return false;
    // The batch stops at the first key that is absent.
    if (result === ENOENT) from += done + 1;
    else {
      bpfChecked("map_delete_batch", result);
      from += done;
    }
  }
  return true;
}

function countOf({ keySize }: Shape, keys: Uint8Array): number {
  const count = keys.length / keySize;
  if (!Number.isInteger(count)) throw new RangeError(`${keys.length} bytes are no keys of ${keySize} each`);
  return count;
}

/** One value under each of the keys, which lie one behind the other. False where the kernel has no batches for this map: nothing was written then. */
export function updateRows(shape: Shape, keys: Uint8Array, value: Uint8Array): boolean {
  check(shape, value, "value");
  const all = countOf(shape, keys);
  const chunk = Math.min(all, chunkOf(shape));
  const values = joined(Array.from({ length: chunk }, () => value));
  for (let from = 0; from < all; from += chunk) {
    const count = Math.min(chunk, all - from);
    const part = keys.slice(from * shape.keySize, (from + count) * shape.keySize);
    const { result } = runRows({ shape, command: "map_update_batch", keys: part, values, count }, 0);
    if (from === 0 && unsupported.has(result)) return false;
    bpfChecked("map_update_batch", result);
  }
  return true;
}

/** Keys, a batch at a time. Null where the kernel has no batches for this map. */
export function keyRowsByBatch(shape: Shape): Generator<Uint8Array> | null {
  const reader = new BatchReader(shape);
  const first = reader.next();
  return first === null ? null : keyRows(shape, reader, first);
}

function* keyRows({ keySize, maxEntries }: Shape, reader: BatchReader, first: Cursor): Generator<Uint8Array> {
  let read = 0;
  for (let cursor: Cursor | null = first; cursor !== null; cursor = cursor.atEnd ? null : reader.next()) {
    yield cursor.keys.subarray(0, cursor.count * keySize);
    read += cursor.count;
    // A key that is deleted by somebody else sends the kernel back to the first.
    if (read > 2 * maxEntries) return;
  }
}
