import { Trap } from "./error.ts";
import { PAGE_TABLE, REGIONS, descriptor, regionFlags } from "./layout.ts";
import { wasm } from "./wasm/api.ts";
import type { WasmMemory } from "./wasm/api.ts";

const PAGE = 4096;
const PAGE_SHIFT = 12;
const WASM_PAGE = 65_536;
/** Addresses are offsets in one linear memory; 2 GiB leave room above for handles that are no memory. */
const MAX_BYTES = 0x8000_0000;
const INITIAL_BYTES = 0x100_0000;
export const MEMORY_PAGES = { minimum: INITIAL_BYTES / WASM_PAGE, maximum: MAX_BYTES / WASM_PAGE } as const;

/** What an address may belong to. */
export type RegionKind = "stack" | "context" | "packet" | "map" | "ring" | "memory" | "object";

type Holds = (address: number, size: number) => boolean;

/**
 * A run of bytes with one owner. With a `stride` it is a row of objects of `size` bytes each, and no access may leave the object that it
 * begins in. Its bounds also stand in linear memory, where compiled programs read them.
 */
export class Region {
  readonly kind: RegionKind;
  readonly base: number;
  /** Bytes that were reserved, from `base`. */
  readonly capacity: number;
  private readonly memory: Memory;
  /** Address of the descriptor. */
  readonly descriptor: number;
  private first: number;
  private behind: number;
  private rowStride = 0;
  private objectSize = 0;
  private mayWrite = true;
  private finder: Holds | null = null;

  constructor(memory: Memory, place: { kind: RegionKind; base: number; capacity: number; descriptor: number }) {
    this.memory = memory;
    this.kind = place.kind;
    this.base = place.base;
    this.capacity = place.capacity;
    this.descriptor = place.descriptor;
    this.first = place.base;
    this.behind = place.base + place.capacity;
    this.put(descriptor.start, this.first);
    this.put(descriptor.end, this.behind);
    this.put(descriptor.stride, 0);
    this.putFlags();
  }

  private put(offset: number, value: number): void {
    this.memory.u32[(this.descriptor + offset) >>> 2] = value;
  }

  private putFlags(): void {
    const flags =
      (this.mayWrite ? regionFlags.writable : 0) |
      (this.finder === null ? 0 : regionFlags.dynamic) |
      (this.kind === "stack" ? regionFlags.stack : 0);
    this.put(descriptor.flags, flags);
  }

  /** Addresses that may be used: from `start` up to `end`. */
  get start(): number {
    return this.first;
  }
  set start(address: number) {
    this.first = address;
    this.put(descriptor.start, address);
  }
  get end(): number {
    return this.behind;
  }
  set end(address: number) {
    this.behind = address;
    this.put(descriptor.end, address);
  }
  get stride(): number {
    return this.rowStride;
  }
  get size(): number {
    return this.objectSize;
  }
  /** Makes it a row of objects of `size` bytes, `stride` apart. */
  split(stride: number, size: number): void {
    this.rowStride = stride;
    this.objectSize = size;
    this.put(descriptor.stride, stride);
    this.put(descriptor.size, size);
  }
  get writable(): boolean {
    return this.mayWrite;
  }
  set writable(may: boolean) {
    this.mayWrite = may;
    this.putFlags();
  }
  /** Where objects come and go: whether the bytes from `address` on are in one of them. */
  /** Of such an object: its first byte and the one behind its last. */
  objectAt: ((address: number) => readonly [number, number] | null) | null = null;
  get holds(): Holds | null {
    return this.finder;
  }
  set holds(finder: Holds | null) {
    this.finder = finder;
    this.putFlags();
  }
}

/**
 * One linear memory, a WebAssembly one. Regions begin on a page of their own and have an unused page behind them, so that a small step out
 * of a region ends in none. Growing replaces the views: take them anew after every allocation.
 */
export class Memory {
  readonly wasm: WasmMemory = new wasm.Memory({ initial: MEMORY_PAGES.minimum, maximum: MEMORY_PAGES.maximum });
  bytes = new Uint8Array(this.wasm.buffer);
  view = new DataView(this.wasm.buffer);
  u32 = new Uint32Array(this.wasm.buffer);
  i32 = new Int32Array(this.wasm.buffer);
  private readonly owners: (Region | undefined)[] = [];
  private nextPage = REGIONS >>> PAGE_SHIFT;
  private readonly free = new Map<number, number[]>();
  private readonly descriptors: number[] = [];

  allocate(kind: RegionKind, capacity: number): Region {
    const place = this.descriptors.pop() ?? this.takeDescriptors();
    const base = this.takeBytes(capacity);
    const region = new Region(this, { kind, base, capacity, descriptor: place });
    for (let i = 0; i < pagesOf(capacity); i++) this.own((base >>> PAGE_SHIFT) + i, region);
    return region;
  }

  release(region: Region): void {
    for (let i = 0; i < pagesOf(region.capacity); i++) this.own((region.base >>> PAGE_SHIFT) + i, undefined);
    this.descriptors.push(region.descriptor);
    this.giveBytes(region.base, region.capacity);
  }

  /** Zeroed bytes that belong to no region: programs cannot reach them while their accesses are checked. */
  takeBytes(capacity: number): number {
    const pages = pagesOf(capacity);
    const again = this.free.get(pages)?.pop();
    if (again === undefined) return this.takePages(pages) * PAGE;
    this.bytes.fill(0, again * PAGE, (again + pages) * PAGE);
    return again * PAGE;
  }

  giveBytes(base: number, capacity: number): void {
    const pages = pagesOf(capacity);
    const list = this.free.get(pages);
    if (list === undefined) this.free.set(pages, [base >>> PAGE_SHIFT]);
    else list.push(base >>> PAGE_SHIFT);
  }

  private own(page: number, region: Region | undefined): void {
    this.owners[page] = region;
    this.u32[(PAGE_TABLE >>> 2) + page] = region?.descriptor ?? 0;
  }

  private takeDescriptors(): number {
    const base = this.takeBytes(PAGE);
    for (let at = PAGE - descriptor.bytes; at > 0; at -= descriptor.bytes) this.descriptors.push(base + at);
    return base;
  }

  private takePages(pages: number): number {
    const page = this.nextPage;
    const needed = (page + pages + 1) * PAGE;
    if (needed > MAX_BYTES) throw new RangeError(`the machine's memory of ${MAX_BYTES} bytes is full`);
    if (needed > this.bytes.length) this.grow(needed);
    this.nextPage += pages + 1;
    return page;
  }

  private grow(needed: number): void {
    const now = this.bytes.length;
    const wanted = Math.min(MAX_BYTES, Math.max(needed, now + Math.min(now, 1 << 28)));
    this.wasm.grow(Math.ceil((wanted - now) / WASM_PAGE));
    const { buffer } = this.wasm;
    this.bytes = new Uint8Array(buffer);
    this.view = new DataView(buffer);
    this.u32 = new Uint32Array(buffer);
    this.i32 = new Int32Array(buffer);
  }

  /** The region of an address, null where there is none. */
  regionAt(address: number): Region | null {
    return this.owners[address >>> PAGE_SHIFT] ?? null;
  }

  /** Whether all `size` bytes are in one object that may be used so. */
  allows(address: number, size: number, write: boolean): boolean {
    const region = this.owners[address >>> PAGE_SHIFT];
    if (region === undefined || address < region.start || address + size > region.end) return false;
    if (region.stride !== 0 && ((address - region.start) % region.stride) + size > region.size) return false;
    if (write && !region.writable) return false;
    return region.holds === null || region.holds(address, size);
  }

  /** The address itself if the access is allowed; throws a `Trap` otherwise. */
  check(address: number, size: number, write: boolean): number {
    if (!this.allows(address, size, write)) throw new Trap("memory", this.explain(address, size, write));
    return address;
  }

  private explain(address: number, size: number, write: boolean): string {
    const what = `${write ? "write" : "read"} of ${size} bytes at 0x${address.toString(16)}`;
    if (address < PAGE) return `${what}: a null pointer`;
    const region = this.owners[address >>> PAGE_SHIFT] ?? this.owners[Math.max(0, (address >>> PAGE_SHIFT) - 1)];
    if (region === undefined) return `${what}: nothing is there`;
    if (write && !region.writable) return `${what}: the ${region.kind} is read-only`;
    if (region.stride !== 0 && address >= region.start && address < region.end) {
      const offset = (address - region.start) % region.stride;
      return `${what}: offset ${offset} of an object of ${region.size} bytes (${region.kind})`;
    }
    return `${what}: offset ${address - region.start} of a ${region.kind} of ${region.end - region.start} bytes`;
  }

  /** A view of checked bytes, valid until the next allocation. */
  read(address: number, size: number): Uint8Array {
    if (size === 0) return new Uint8Array(0);
    this.check(address, size, false);
    return this.bytes.subarray(address, address + size);
  }

  write(address: number, data: Uint8Array): void {
    if (data.length === 0) return;
    this.check(address, data.length, true);
    this.bytes.set(data, address);
  }
}

function pagesOf(capacity: number): number {
  return Math.max(1, Math.ceil(capacity / PAGE));
}
