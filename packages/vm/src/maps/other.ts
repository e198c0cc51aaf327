/** @module Maps of a kind of their own: arena, struct_ops, stack traces. */
import type { MapSpec } from "@skep/object";
import { errno } from "../error.ts";
import type { Region } from "../memory.ts";
import { VmMap, wordBytes, wordOf } from "./map.ts";
import type { MapHost } from "./map.ts";
import { Slab } from "./slab.ts";

const PAGE = 4096;

/**
 * `arena` (kernel/bpf/arena.c): pages that programs and user space share. An address in it is the same on both sides. A page that is not
 * allocated may be read and gives zeros, as in the kernel, where the fault is caught; what is stored there is lost when it is allocated.
 */
export class ArenaMap extends VmMap {
  private readonly region: Region;
  private readonly pages: Uint8Array;

  constructor(host: MapHost, spec: MapSpec, place: { id: number }) {
    super(host, spec, place);
    this.region = host.memory.allocate("memory", spec.maxEntries * PAGE);
    this.pages = new Uint8Array(spec.maxEntries);
  }

  get base(): number {
    return this.region.base;
  }

  /** bpf_arena_alloc_pages without flags: the first free run, or the one at `address`; 0 where there is none. */
  allocate(address: number, count: number): number {
    const { maxEntries } = this.spec;
    if (count < 1 || count > maxEntries) return 0;
    const wanted = address === 0 ? null : (address - this.region.base) / PAGE;
    for (let page = wanted ?? 0; page + count <= maxEntries; page++) {
      if (!Number.isInteger(page) || page < 0) return 0;
      if (this.pages.subarray(page, page + count).every((each) => each === 0)) {
        this.pages.fill(1, page, page + count);
        const at = this.region.base + page * PAGE;
        this.host.memory.bytes.fill(0, at, at + count * PAGE);
        return at;
      }
      if (wanted !== null) return 0;
    }
    return 0;
  }

  /** Variables of the object, from the first page on (libbpf puts them there). */
  fill(contents: Uint8Array): void {
    if (contents.length === 0) return;
    const at = this.allocate(0, Math.ceil(contents.length / PAGE));
    this.host.memory.bytes.set(contents, at);
  }

  /** bpf_arena_free_pages */
  free(address: number, count: number): void {
    const page = Math.floor((address - this.region.base) / PAGE);
    if (page < 0) return;
    this.pages.fill(0, page, page + count);
    const at = this.region.base + page * PAGE;
    this.host.memory.bytes.fill(0, at, Math.min(at + count * PAGE, this.region.base + this.region.capacity));
  }

  /** bpf_arena_reserve_pages: nobody is given them until they are freed. 0 or a negative errno. */
  reserve(address: number, count: number): number {
    if (count === 0 || address % PAGE !== 0) return 0;
    const page = (address - this.region.base) / PAGE;
    if (page < 0 || page + count > this.spec.maxEntries) return -errno.EINVAL;
    const wanted = this.pages.subarray(page, page + count);
    if (wanted.some((each) => each !== 0)) return -errno.EBUSY;
    wanted.fill(1);
    return 0;
  }

  /** What user space sees of it. */
  view(): Uint8Array {
    return this.host.memory.bytes.subarray(this.region.base, this.region.base + this.region.capacity);
  }

  override *keys(): Iterable<Uint8Array> {}

  protected override readUser(): number {
    return -errno.EINVAL;
  }
  protected override updateUser(): number {
    return -errno.EOPNOTSUPP;
  }
  protected override nextUser(): number {
    return -errno.EOPNOTSUPP;
  }

  protected override release(): void {
    this.host.memory.release(this.region);
  }
}

/**
 * `struct_ops` (kernel/bpf/bpf_struct_ops.c): one value, the struct as the object has it. Setting it registers it, deleting takes it back; the
 * machine that calls its members is told.
 */
export class StructOpsMap extends VmMap {
  private value: Uint8Array | null = null;
  /** Called with true when the struct is registered, with false when it is taken back. */
  onChange: ((registered: boolean) => void) | null = null;

  get isRegistered(): boolean {
    return this.value !== null;
  }

  override *keys(): Iterable<Uint8Array> {
    yield wordBytes(0);
  }

  protected override readUser(key: Uint8Array): Uint8Array | number {
    if (wordOf(key) !== 0) return -errno.ENOENT;
    return this.value?.slice() ?? new Uint8Array(this.spec.valueSize);
  }

  protected override updateUser(key: Uint8Array, value: Uint8Array, flags: bigint): number {
    if (flags !== 0n) return -errno.EINVAL;
    if (wordOf(key) !== 0) return -errno.E2BIG;
    if (this.value !== null) return -errno.EBUSY;
    this.value = value.slice();
    this.onChange?.(true);
    return 0;
  }

  protected override removeUser(): number {
    if (this.value === null) return -errno.ENOENT;
    this.value = null;
    this.onChange?.(false);
    return 0;
  }
}

/** `stack_trace` (kernel/bpf/stackmap.c): traces by an id that hashes them. The machine gives the frames. */
export class StackTraceMap extends VmMap {
  private readonly traces = new Map<number, number>();
  private readonly slab: Slab;
  private readonly buckets: number;

  constructor(host: MapHost, spec: MapSpec, place: { id: number }) {
    super(host, spec, place);
    this.slab = new Slab(host.memory, { valueSize: spec.valueSize });
    this.buckets = 2 ** Math.ceil(Math.log2(spec.maxEntries));
  }

  /** bpf_get_stackid: an id, or -EEXIST where another trace has it and it may not be replaced. */
  put(trace: Uint8Array, flags: { readonly compare: boolean; readonly reuse: boolean }): number {
    let hash = 0x811c_9dc5;
    for (const byte of trace) hash = Math.imul(hash ^ byte, 0x0100_0193);
    const id = (hash >>> 0) % this.buckets;
    const known = this.traces.get(id);
    if (known !== undefined) {
      const same = this.valueBytes(known).every((byte, i) => byte === (trace[i] ?? 0));
      if (same && !flags.compare) return id;
      if (same) return id;
      if (!flags.reuse) return -errno.EEXIST;
    }
    const address = known ?? this.slab.take();
    const { bytes } = this.host.memory;
    bytes.fill(0, address, address + this.slab.stride);
    bytes.set(trace.subarray(0, this.spec.valueSize), address);
    this.traces.set(id, address);
    return id;
  }

  protected override readUser(key: Uint8Array): Uint8Array | number {
    const address = this.traces.get(wordOf(key));
    return address === undefined ? -errno.ENOENT : this.valueBytes(address);
  }

  protected override updateUser(): number {
    return -errno.EINVAL;
  }

  protected override takeUser(key: Uint8Array): Uint8Array | number {
    const value = this.readUser(key);
    if (typeof value !== "number") this.remove(key);
    return value;
  }

  override remove(key: Uint8Array): number {
    const id = wordOf(key);
    if (id >= this.buckets) return -errno.E2BIG;
    const address = this.traces.get(id);
    if (address === undefined) return -errno.ENOENT;
    this.slab.give(address);
    this.traces.delete(id);
    return 0;
  }

  override *keys(): Iterable<Uint8Array> {
    for (const id of [...this.traces.keys()].sort((a, b) => a - b)) yield wordBytes(id);
  }

  protected override release(): void {
    this.slab.release();
  }
}
