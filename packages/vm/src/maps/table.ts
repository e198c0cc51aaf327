import type { Memory } from "../memory.ts";
import { hashKey, node } from "./shapes.ts";
import { NodePool } from "./slab.ts";

/** A hash table in linear memory: chains of nodes (maps/shapes.ts) from as many buckets as there may be elements. */
export class Table {
  readonly buckets: number;
  readonly mask: number;
  private readonly memory: Memory;
  private readonly keySize: number;
  private readonly pool: NodePool;
  private count = 0;

  constructor(memory: Memory, shape: { keySize: number; maxEntries: number }) {
    this.memory = memory;
    this.keySize = shape.keySize;
    const size = 2 ** Math.ceil(Math.log2(Math.max(1, shape.maxEntries)));
    this.mask = size - 1;
    this.buckets = memory.takeBytes(size * 4);
    this.pool = new NodePool(memory, node.key + shape.keySize);
  }

  get size(): number {
    return this.count;
  }

  /** The node of a key, 0 where there is none. */
  find(key: Uint8Array): number {
    const hash = hashKey(key, 0, this.keySize);
    const { u32, i32, bytes } = this.memory;
    let at = u32[this.bucketOf(hash) >>> 2] ?? 0;
    while (at !== 0) {
      if (i32[(at + node.hash) >>> 2] === hash && this.isAt(bytes, at, key)) return at;
      at = u32[(at + node.next) >>> 2] ?? 0;
    }
    return 0;
  }

  private bucketOf(hash: number): number {
    return this.buckets + (hash & this.mask) * 4;
  }

  private isAt(bytes: Uint8Array, at: number, key: Uint8Array): boolean {
    for (let i = 0; i < this.keySize; i++) if (bytes[at + node.key + i] !== key[i]) return false;
    return true;
  }

  /** A new node at the head of its chain; the key must be absent. */
  insert(key: Uint8Array, value: number): number {
    const at = this.pool.take();
    const hash = hashKey(key, 0, this.keySize);
    const { u32, i32, bytes } = this.memory;
    const bucket = this.bucketOf(hash) >>> 2;
    u32[(at + node.next) >>> 2] = u32[bucket] ?? 0;
    i32[(at + node.hash) >>> 2] = hash;
    u32[(at + node.value) >>> 2] = value;
    u32[(at + node.used) >>> 2] = 0;
    bytes.set(key, at + node.key);
    u32[bucket] = at;
    this.count++;
    return at;
  }

  remove(at: number): void {
    const { u32, i32 } = this.memory;
    let link = this.bucketOf(i32[(at + node.hash) >>> 2] ?? 0);
    while (u32[link >>> 2] !== at) link = (u32[link >>> 2] ?? 0) + node.next;
    u32[link >>> 2] = u32[(at + node.next) >>> 2] ?? 0;
    this.pool.give(at);
    this.count--;
  }

  valueOf(at: number): number {
    return this.memory.u32[(at + node.value) >>> 2] ?? 0;
  }

  setValue(at: number, value: number): void {
    this.memory.u32[(at + node.value) >>> 2] = value;
  }

  keyOf(at: number): Uint8Array {
    return this.memory.bytes.slice(at + node.key, at + node.key + this.keySize);
  }

  /** The first node, or the one behind; 0 at the end. */
  next(at: number): number {
    const { u32, i32 } = this.memory;
    const behind = at === 0 ? 0 : (u32[(at + node.next) >>> 2] ?? 0);
    if (behind !== 0) return behind;
    let bucket = at === 0 ? 0 : ((i32[(at + node.hash) >>> 2] ?? 0) & this.mask) + 1;
    for (; bucket <= this.mask; bucket++) {
      const first = u32[(this.buckets >>> 2) + bucket] ?? 0;
      if (first !== 0) return first;
    }
    return 0;
  }

  /** Does not bear changes on the way. */
  *nodes(): Iterable<number> {
    for (let at = this.next(0); at !== 0; at = this.next(at)) yield at;
  }

  release(): void {
    this.memory.giveBytes(this.buckets, (this.mask + 1) * 4);
    this.pool.release();
  }
}
