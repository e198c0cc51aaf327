import type { Memory, Region } from "../memory.ts";
import { roundUp } from "./map.ts";

const CHUNK_BYTES = 1 << 16;

/** Places for values of one size, taken in chunks. Every value is an object of its own for the checks of memory. */
export class Slab {
  /** Bytes from one CPU's value to the next. */
  readonly stride: number;
  private readonly memory: Memory;
  private readonly valueSize: number;
  private readonly cpus: number;
  private readonly writable: boolean;
  private readonly free: number[] = [];
  private readonly regions: Region[] = [];

  constructor(memory: Memory, how: { valueSize: number; cpus?: number; writable?: boolean }) {
    this.memory = memory;
    this.valueSize = how.valueSize;
    this.cpus = how.cpus ?? 1;
    this.writable = how.writable ?? true;
    this.stride = Math.max(8, roundUp(how.valueSize, 8));
  }

  /** Address of the first CPU's value. The bytes are what they were. */
  take(): number {
    if (this.free.length === 0) this.takeChunk(Math.max(1, Math.floor(CHUNK_BYTES / (this.stride * this.cpus))));
    return this.free.pop() ?? 0;
  }

  give(address: number): void {
    this.free.push(address);
  }

  /** A run of `count` places, never given back one by one. */
  takeRun(count: number): number {
    const size = this.stride * this.cpus;
    const region = this.memory.allocate("map", count * size);
    region.split(this.stride, this.valueSize);
    region.writable = this.writable;
    this.regions.push(region);
    return region.base;
  }

  release(): void {
    for (const region of this.regions) this.memory.release(region);
    this.regions.length = 0;
    this.free.length = 0;
  }

  private takeChunk(count: number): void {
    const base = this.takeRun(count);
    for (let i = count - 1; i >= 0; i--) this.free.push(base + i * this.stride * this.cpus);
  }
}

/** Places for the machine's own nodes, which belong to no region. */
export class NodePool {
  private readonly memory: Memory;
  private readonly size: number;
  private readonly free: number[] = [];
  private readonly chunks: number[] = [];

  constructor(memory: Memory, size: number) {
    this.memory = memory;
    this.size = roundUp(size, 8);
  }

  private get chunkBytes(): number {
    return Math.max(CHUNK_BYTES, this.size);
  }

  take(): number {
    if (this.free.length === 0) {
      const base = this.memory.takeBytes(this.chunkBytes);
      this.chunks.push(base);
      for (let i = Math.floor(this.chunkBytes / this.size) - 1; i >= 0; i--) this.free.push(base + i * this.size);
    }
    return this.free.pop() ?? 0;
  }

  give(address: number): void {
    this.free.push(address);
  }

  release(): void {
    for (const base of this.chunks) this.memory.giveBytes(base, this.chunkBytes);
    this.chunks.length = 0;
    this.free.length = 0;
  }
}
