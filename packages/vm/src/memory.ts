import { Trap } from "./error.ts";

const PAGE = 4096;
const PAGE_SHIFT = 12;
/** Addresses are offsets in one linear memory; 2 GiB leave room above for handles that are no memory. */
const MAX_BYTES = 0x8000_0000;

/** What an address may belong to. */
export type RegionKind = "stack" | "context" | "packet" | "map" | "ring" | "memory" | "object" | "hidden";

/**
 * A run of bytes with one owner. With a `stride` it is a row of objects of `size` bytes each, and no access may leave the object that it
 * begins in.
 */
export class Region {
  readonly kind: RegionKind;
  readonly base: number;
  /** Bytes that were reserved, from `base`. */
  readonly capacity: number;
  /** Addresses that may be used: from `start` up to `end`. */
  start: number;
  end: number;
  stride = 0;
  size = 0;
  writable = true;
  /** Where objects come and go: whether the bytes from `address` on are in one of them. */
  holds: ((address: number, size: number) => boolean) | null = null;

  constructor(kind: RegionKind, base: number, capacity: number) {
    this.kind = kind;
    this.base = base;
    this.capacity = capacity;
    this.start = base;
    this.end = base + capacity;
  }
}

/**
 * One linear memory. Regions begin on a page of their own and have an unused page behind them, so that a small step out of a region
 * ends in none. Growing replaces `bytes` and `view`: take them anew after every allocation.
 */
export class Memory {
  bytes = new Uint8Array(1 << 16);
  view = new DataView(this.bytes.buffer);
  private readonly owners: (Region | undefined)[] = [];
  /** The first page stays free: null points to nothing. */
  private nextPage = 1;
  private readonly free = new Map<number, number[]>();

  allocate(kind: RegionKind, capacity: number): Region {
    const pages = Math.max(1, Math.ceil(capacity / PAGE));
    const page = this.free.get(pages)?.pop() ?? this.takePages(pages);
    const region = new Region(kind, page * PAGE, capacity);
    for (let i = 0; i < pages; i++) this.owners[page + i] = region;
    this.bytes.fill(0, region.base, region.base + pages * PAGE);
    return region;
  }

  release(region: Region): void {
    const pages = Math.max(1, Math.ceil(region.capacity / PAGE));
    const page = region.base >>> PAGE_SHIFT;
    for (let i = 0; i < pages; i++) this.owners[page + i] = undefined;
    const list = this.free.get(pages);
    if (list === undefined) this.free.set(pages, [page]);
    else list.push(page);
  }

  private takePages(pages: number): number {
    const page = this.nextPage;
    this.nextPage += pages + 1;
    const needed = this.nextPage * PAGE;
    if (needed > MAX_BYTES) throw new RangeError(`the machine's memory of ${MAX_BYTES} bytes is full`);
    if (needed > this.bytes.length) {
      const grown = new Uint8Array(Math.min(MAX_BYTES, Math.max(needed, this.bytes.length * 2)));
      grown.set(this.bytes);
      this.bytes = grown;
      this.view = new DataView(grown.buffer);
    }
    return page;
  }

  /** The region of an address, null where there is none. */
  regionAt(address: number): Region | null {
    return this.owners[address >>> PAGE_SHIFT] ?? null;
  }

  /** The address itself if all `size` bytes are in one object that may be used so; throws a `Trap` otherwise. */
  check(address: number, size: number, write: boolean): number {
    const region = this.owners[address >>> PAGE_SHIFT];
    if (region === undefined || address < region.start || address + size > region.end) this.fail(address, size, write);
    if (region.stride !== 0 && ((address - region.start) % region.stride) + size > region.size) {
      this.fail(address, size, write);
    }
    if (write && !region.writable) this.fail(address, size, write);
    if (region.holds !== null && !region.holds(address, size)) this.fail(address, size, write);
    return address;
  }

  private fail(address: number, size: number, write: boolean): never {
    throw new Trap("memory", this.explain(address, size, write));
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
