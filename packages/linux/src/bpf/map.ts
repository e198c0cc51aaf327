import { commands, elementFlags } from "@skep/isa";
import {
  type OnRecordInPlace,
  type PerfEvent,
  type Program,
  type RawMap,
  type RingReader,
  splitRows,
} from "@skep/machine";
import { Descriptor, keepUntilHere, PAGE_SIZE, rawBpf, Scratch } from "../sys/index.ts";
import { Attributes, bpfChecked } from "./attributes.ts";
import { needCapabilities } from "./capabilities.ts";
import {
  batchOf,
  deleteBatch,
  deleteRows,
  entriesByBatch,
  keyRowsByBatch,
  snapshotByBatch,
  takeBatch,
  updateBatch,
  updateRows,
  type Shape,
} from "./batch.ts";
import { possibleCpus } from "./cpus.ts";
import { mapInfo, type KernelMapInfo } from "./info.ts";
import { MappedMemory } from "./mapped.ts";
import { openCounters } from "./perf-event.ts";
import { type OnPerfRecord, type PerfOptions, PerfReader } from "./perf-ring.ts";
import { LinuxRingReader } from "./ring.ts";
import { UserRingWriter } from "./user-ring.ts";
import { pinObject } from "./pins.ts";

const perCpuTypes = new Set(["percpu_hash", "percpu_array", "lru_percpu_hash", "percpu_cgroup_storage"]);
const ENOENT = -2;

/** Bytes of one value as the kernel copies them: bpf_map_value_size, kernel/bpf/syscall.c. */
function copiedSize(info: KernelMapInfo): number {
  if (perCpuTypes.has(info.type)) return Math.ceil(info.valueSize / 8) * 8 * possibleCpus();
  return info.valueSize;
}

/** An operation that this kind of map does not have. */
export class MapOperationError extends Error {
  override readonly name = "MapOperationError";
}

/**
 * A live map. Its argument, key and value buffers live as long as it does, so an operation allocates nothing but what it returns.
 */
export class LinuxMap implements RawMap {
  readonly info: KernelMapInfo;
  /** Bytes of a value: for per-CPU maps all of them. */
  readonly copiedSize: number;
  readonly #descriptor: Descriptor;
  readonly #attributes = new Scratch(32);
  readonly #key: Scratch;
  readonly #value: Scratch;
  #arena: MappedMemory | null = null;

  /** Takes over the descriptor. */
  constructor(descriptor: Descriptor) {
    this.#descriptor = descriptor;
    this.info = mapInfo(descriptor.fd);
    this.copiedSize = copiedSize(this.info);
    this.#key = new Scratch(Math.max(this.info.keySize, 8));
    this.#value = new Scratch(Math.max(this.copiedSize, 8));
    this.#attributes.view.setBigUint64(8, this.info.keySize === 0 ? 0n : this.#key.address, true);
    this.#attributes.view.setBigUint64(16, this.#value.address, true);
  }

  /** Throws EBADF once closed. */
  get fd(): number {
    return this.#descriptor.fd;
  }

  /** A second handle of the same map. */
  duplicate(): LinuxMap {
    return new LinuxMap(this.#descriptor.duplicate());
  }

  #run(command: number, flags: number, size = 32): number {
    this.#attributes.view.setUint32(0, this.#descriptor.fd, true);
    this.#attributes.view.setUint32(24, flags, true);
    const result = rawBpf(command, this.#attributes.address, size);
    keepUntilHere(this);
    return result;
  }

  #putKey(key: Uint8Array): void {
    if (key.byteLength !== this.info.keySize)
      throw new RangeError(`map ${this.info.name}: a key of ${key.byteLength} bytes instead of ${this.info.keySize}`);
    this.#key.bytes.set(key);
  }

  #putValue(value: Uint8Array): void {
    if (value.byteLength !== this.copiedSize)
      throw new RangeError(`map ${this.info.name}: a value of ${value.byteLength} bytes instead of ${this.copiedSize}`);
    this.#value.bytes.set(value);
  }

  #takeValue(): Uint8Array {
    return this.#value.bytes.slice(0, this.copiedSize);
  }

  /** What the error is about: the map's name. */
  get #about(): string {
    return `map ${this.info.name || this.info.id}`;
  }

  get(key: Uint8Array, options: { readonly lock?: boolean } = {}): Uint8Array | null {
    this.#putKey(key);
    const result = this.#run(commands.map_lookup_elem, options.lock ? elementFlags.lock : 0);
    if (result === ENOENT) return null;
    bpfChecked("map_lookup_elem", result, this.#about);
    return this.#takeValue();
  }

  /** As `get`, into a buffer of the caller's: for reading the same map again and again. False where the key is absent. */
  getInto(key: Uint8Array, into: Uint8Array): boolean {
    this.#putKey(key);
    const result = this.#run(commands.map_lookup_elem, 0);
    if (result === ENOENT) return false;
    bpfChecked("map_lookup_elem", result, this.#about);
    into.set(this.#value.bytes.subarray(0, this.copiedSize));
    return true;
  }

  set(
    key: Uint8Array,
    value: Uint8Array,
    mode: "any" | "new" | "existing" = "any",
    options: { readonly lock?: boolean } = {},
  ): void {
    this.#putKey(key);
    this.#putValue(value);
    const flags = mode === "any" ? elementFlags.any : mode === "new" ? elementFlags.noexist : elementFlags.exist;
    const lock = options.lock ? elementFlags.lock : 0;
    bpfChecked("map_update_elem", this.#run(commands.map_update_elem, flags | lock), this.#about);
  }

  delete(key: Uint8Array): boolean {
    this.#putKey(key);
    // Without the value's address: the command refuses what follows its own fields.
    const result = this.#run(commands.map_delete_elem, 0, 16);
    if (result === ENOENT) return false;
    bpfChecked("map_delete_elem", result, this.#about);
    return true;
  }

  /** The value that was there, which is gone; null where there was none. For hashes, and for queues and stacks with an empty key. */
  take(key: Uint8Array = new Uint8Array(0)): Uint8Array | null {
    this.#putKey(key);
    const result = this.#run(commands.map_lookup_and_delete_elem, 0);
    if (result === ENOENT) return null;
    bpfChecked("map_lookup_and_delete_elem", result, this.#about);
    return this.#takeValue();
  }

  /** Appends to a queue, pushes onto a stack, or adds to a bloom filter. `replaceOldest`: a full queue drops its oldest. */
  push(value: Uint8Array, options: { readonly replaceOldest?: boolean } = {}): void {
    this.#putKey(new Uint8Array(0));
    this.#putValue(value);
    const flags = options.replaceOldest ? elementFlags.exist : elementFlags.any;
    bpfChecked("map_update_elem", this.#run(commands.map_update_elem, flags), this.#about);
  }

  /** The next of a queue or stack, which stays; null where it is empty. */
  peek(): Uint8Array | null {
    return this.get(new Uint8Array(0));
  }

  /** Whether a bloom filter may hold the value. False is certain. */
  mayHold(value: Uint8Array): boolean {
    if (this.info.type !== "bloom_filter") throw new MapOperationError(`${this.#about} is no bloom filter`);
    this.#putValue(value);
    const result = this.#run(commands.map_lookup_elem, 0);
    if (result === ENOENT) return false;
    bpfChecked("map_lookup_elem", result, this.#about);
    return true;
  }

  /** The key after `key`, the first for null; null at the end. */
  nextKey(key: Uint8Array | null): Uint8Array | null {
    const { view } = this.#attributes;
    if (key) this.#putKey(key);
    const next = new Scratch(Math.max(this.info.keySize, 8));
    view.setBigUint64(8, key ? this.#key.address : 0n, true);
    view.setBigUint64(16, next.address, true);
    const result = this.#run(commands.map_get_next_key, 0);
    view.setBigUint64(8, this.info.keySize === 0 ? 0n : this.#key.address, true);
    view.setBigUint64(16, this.#value.address, true);
    if (result === ENOENT) return null;
    bpfChecked("map_get_next_key", result, this.#about);
    return next.bytes.slice(0, this.info.keySize);
  }

  get #shape(): Shape {
    return { fd: this.fd, keySize: this.info.keySize, valueSize: this.copiedSize, maxEntries: this.info.maxEntries };
  }

  /** Every key that is there now. */
  keys(): Uint8Array[] {
    // A key that is deleted meanwhile sends the kernel back to the first: what was seen is not taken twice.
    const seen = new Set<string>();
    const keys: Uint8Array[] = [];
    for (let key = this.nextKey(null); key !== null; key = this.nextKey(key)) {
      const text = String.fromCharCode(...key);
      if (seen.has(text)) {
        if (seen.size > this.info.maxEntries * 2) break;
      } else {
        seen.add(text);
        keys.push(key);
      }
    }
    return keys;
  }

  *entries(): IterableIterator<[key: Uint8Array, value: Uint8Array]> {
    const kind = batchOf(this.info.type);
    const batches = kind === "none" ? null : (kind === "lazy" ? entriesByBatch : snapshotByBatch)(this.#shape);
    if (batches) return yield* batches;
    for (const key of this.keys()) {
      const value = this.get(key);
      if (value) yield [key, value];
    }
  }

  /** Takes every entry out of the map: in batches where the kernel can (hashes), else one by one. */
  takeAll(): [key: Uint8Array, value: Uint8Array][] {
    const batches = batchOf(this.info.type) === "none" ? null : takeBatch(this.#shape);
    if (batches) return batches;
    const taken: [Uint8Array, Uint8Array][] = [];
    for (const key of this.keys()) {
      const value = this.get(key);
      if (value && this.delete(key)) taken.push([key, value]);
    }
    return taken;
  }

  setAll(entries: Iterable<readonly [key: Uint8Array, value: Uint8Array]>): void {
    const all = [...entries];
    if (batchOf(this.info.type) === "none" || !updateBatch(this.#shape, all)) {
      for (const [key, value] of all) this.set(key, value);
    }
  }

  deleteAll(keys: Iterable<Uint8Array>): void {
    const all = [...keys];
    if (batchOf(this.info.type) === "none" || !deleteBatch(this.#shape, all)) {
      for (const key of all) this.delete(key);
    }
  }

  *keyRows(): IterableIterator<Uint8Array> {
    const rows = batchOf(this.info.type) === "none" ? null : keyRowsByBatch(this.#shape);
    if (rows) yield* rows;
    else yield* this.keys();
  }

  setRows(keys: Uint8Array, value: Uint8Array): void {
    if (batchOf(this.info.type) !== "none" && updateRows(this.#shape, keys, value)) return;
    for (const key of splitRows(keys, this.info.keySize)) this.set(key, value);
  }

  deleteRows(keys: Uint8Array): void {
    if (batchOf(this.info.type) !== "none" && deleteRows(this.#shape, keys)) return;
    for (const key of splitRows(keys, this.info.keySize)) this.delete(key);
  }

  freeze(): void {
    new Attributes().u32(0, this.fd).run("map_freeze", this.#about);
  }

  pin(path: string): void {
    pinObject(this.fd, path);
  }

  /** Puts a descriptor as the value: programs, maps, sockets, cgroups, perf events. */
  setDescriptor(key: Uint8Array, fd: number, mode: "any" | "new" | "existing" = "any"): void {
    const value = new Uint8Array(this.copiedSize);
    new DataView(value.buffer).setUint32(0, fd, true);
    this.set(key, value, mode);
  }

  setMap(key: Uint8Array, inner: RawMap): void {
    this.setDescriptor(key, descriptorOf(inner));
  }

  setMaps(entries: Iterable<readonly [key: Uint8Array, inner: RawMap]>): void {
    const all = [...entries].map(([key, inner]): [Uint8Array, Uint8Array] => {
      const value = new Uint8Array(this.copiedSize);
      new DataView(value.buffer).setUint32(0, descriptorOf(inner), true);
      return [key, value];
    });
    // Each single update waits for an RCU grace period (kernel/bpf/syscall.c: maybe_wait_bpf_programs), a batch for one.
    if (!updateBatch(this.#shape, all)) for (const [key, value] of all) this.set(key, value);
  }

  getMap(key: Uint8Array): LinuxMap | null {
    // User space is given the inner map's id (kernel/bpf/map_in_map.c: bpf_map_fd_sys_lookup_elem).
    const value = this.get(key);
    if (!value) return null;
    needCapabilities("opening an inner map", "CAP_SYS_ADMIN");
    const id = new DataView(value.buffer, value.byteOffset).getUint32(0, true);
    const result = new Attributes().u32(0, id).try("map_get_fd_by_id");
    if (result === ENOENT) return null;
    return new LinuxMap(new Descriptor(bpfChecked("map_get_fd_by_id", result, `map ${id}`), "map"));
  }

  setProgram(key: Uint8Array, program: Program): void {
    this.setDescriptor(key, descriptorOf(program));
  }

  /** Ring buffers, and the buffers of all CPUs of a perf event array. */
  readRing(onRecord: (record: Uint8Array) => void, options?: PerfOptions): RingReader {
    if (this.info.type === "perf_event_array") return this.readPerf(onRecord, options);
    return new LinuxRingReader(this.#descriptor, this.info, (view, at, length) =>
      onRecord(new Uint8Array(view.buffer, view.byteOffset + at, length)),
    );
  }

  readRingInPlace(onRecord: OnRecordInPlace, options?: PerfOptions): RingReader {
    if (this.info.type !== "perf_event_array") return new LinuxRingReader(this.#descriptor, this.info, onRecord);
    return this.readPerf(
      (record) => onRecord(new DataView(record.buffer), record.byteOffset, record.byteLength),
      options,
    );
  }

  readPerf(onRecord: OnPerfRecord, options?: PerfOptions): PerfReader {
    if (this.info.type !== "perf_event_array") throw new MapOperationError(`${this.#about} is no perf event array`);
    const put = (cpu: number, event: number) =>
      this.setDescriptor(new Uint8Array(new Uint32Array([cpu]).buffer), event);
    return new PerfReader(put, onRecord, options);
  }

  /** Puts a counter of each CPU into a perf event array, for programs that read it with `bpf_perf_event_read_value`, until closed. */
  countEvents(event: PerfEvent["event"]): { close(): void } {
    if (this.info.type !== "perf_event_array") throw new MapOperationError(`${this.#about} is no perf event array`);
    return openCounters(event, (cpu, counter) =>
      this.setDescriptor(new Uint8Array(new Uint32Array([cpu]).buffer), counter),
    );
  }

  /** For user ring buffers. */
  writeRing(): UserRingWriter {
    return new UserRingWriter(this.#descriptor, this.info);
  }

  /**
   * The values of an array that was made with BPF_F_MMAPABLE, each rounded up to eight bytes; or an arena's pages. Writable unless the
   * map is frozen or its flags forbid it.
   */
  mmap(options: { readonly readOnly?: boolean } = {}): MappedMemory {
    const size = this.info.type === "arena" ? PAGE_SIZE : Math.ceil(this.info.valueSize / 8) * 8;
    const length = Math.ceil((size * this.info.maxEntries) / PAGE_SIZE) * PAGE_SIZE;
    // An arena may have been made for one address alone.
    const address = this.info.type === "arena" ? this.info.mapExtra : 0n;
    return new MappedMemory(this.#descriptor, length, { isWritable: !options.readOnly, address });
  }

  /** An arena's pages in this process, mapped as long as the handle is open. A page that no program has allocated must not be touched. */
  mapArena(): MappedMemory {
    if (this.info.type !== "arena") throw new MapOperationError(`${this.#about} is no arena`);
    this.#arena ??= this.mmap();
    return this.#arena;
  }

  close(): void {
    this.#arena?.close();
    this.#descriptor.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** The descriptor of a handle of this machine. Throws TypeError for one of another machine. */
export function descriptorOf(handle: RawMap | Program): number {
  if ("fd" in handle && typeof handle.fd === "number") return handle.fd;
  throw new TypeError("the handle belongs to another machine");
}
