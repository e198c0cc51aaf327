import type { Memory } from "../memory.ts";
import { roundUp } from "./map.ts";

const CHUNK_BYTES = 1 << 16;

/** Places for values of one size, taken in chunks. Every value is an object of its own for the checks of memory. */
export class Slab {
  /** Bytes from one CPU's value to the next. */
  readonly stride: number;
  private readonly memory: Memory;
  private readonly valueSize: number;
  private readonly cpus: number;
  private readonly free: number[] = [];

  constructor(memory: Memory, valueSize: number, cpus: number) {
    this.memory = memory;
    this.valueSize = valueSize;
    this.cpus = cpus;
    this.stride = Math.max(8, roundUp(valueSize, 8));
  }

  /** Address of the first CPU's value. The bytes are what they were. */
  take(): number {
    if (this.free.length === 0) this.takeChunk(Math.max(1, Math.floor(CHUNK_BYTES / (this.stride * this.cpus))));
    return this.free.pop() ?? 0;
  }

  give(address: number): void {
    this.free.push(address);
  }

  /** A run of `count` places, never given back. */
  takeRun(count: number): number {
    const size = this.stride * this.cpus;
    const region = this.memory.allocate("map", count * size);
    region.split(this.stride, this.valueSize);
    return region.base;
  }

  private takeChunk(count: number): void {
    const base = this.takeRun(count);
    for (let i = count - 1; i >= 0; i--) this.free.push(base + i * this.stride * this.cpus);
  }
}
