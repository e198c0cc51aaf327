import type { MapSpec } from "@skep/object";
import { errno } from "../error.ts";
import { VmMap, createFlags, updateFlags, wordBytes, wordOf } from "./map.ts";
import type { MapHost } from "./map.ts";
import { control, trie } from "./shapes.ts";
import { NodePool, Slab } from "./slab.ts";

/**
 * `lpm_trie` (kernel/bpf/lpm_trie.c): keys are a length in bits (u32) and bytes; lookups find the longest prefix. A binary trie in which a
 * node without a value has two children.
 */
export class LpmMap extends VmMap {
  private readonly slab: Slab;
  private readonly pool: NodePool;
  private readonly dataSize: number;
  private readonly maxBits: number;
  private count = 0;

  constructor(host: MapHost, spec: MapSpec, place: { id: number }) {
    super(host, spec, place);
    this.dataSize = spec.keySize - 4;
    this.maxBits = this.dataSize * 8;
    const writable = (spec.flags & createFlags.readOnlyProgram) === 0;
    this.slab = new Slab(host.memory, { valueSize: spec.valueSize, writable });
    this.pool = new NodePool(host.memory, trie.data + 2 * trie.dataBytes(this.dataSize));
    this.setControl(control.root, 0);
  }

  get size(): number {
    return this.count;
  }

  // ---- nodes ----

  private word(address: number): number {
    return this.host.memory.u32[address >>> 2] ?? 0;
  }

  private setWord(address: number, value: number): void {
    this.host.memory.u32[address >>> 2] = value;
  }

  private bitOf(bytes: Uint8Array, at: number, bit: number): number {
    return ((bytes[at + (bit >> 3)] ?? 0) >> (7 - (bit & 7))) & 1;
  }

  /** How many leading bits the node and the key share, at most the shorter of both. */
  private shared(at: number, key: Uint8Array, bits: number): number {
    const { bytes } = this.host.memory;
    const limit = Math.min(bits, this.word(at + trie.length));
    for (let i = 0; i * 8 < limit; i++) {
      const differ = (bytes[at + trie.data + i] ?? 0) ^ (key[4 + i] ?? 0);
      if (differ !== 0) return Math.min(limit, i * 8 + Math.clz32(differ) - 24);
    }
    return limit;
  }

  /** A node with the key's bytes and a prefix of so many bits. */
  private makeNode(key: Uint8Array, bits: number, value: number): number {
    const at = this.pool.take();
    const { bytes } = this.host.memory;
    const room = trie.dataBytes(this.dataSize);
    bytes.fill(0, at, at + trie.data + 2 * room);
    this.setWord(at + trie.length, bits);
    this.setWord(at + trie.value, value);
    bytes.set(key.subarray(4), at + trie.data);
    const mask = at + trie.data + room;
    bytes.fill(0xff, mask, mask + (bits >> 3));
    if ((bits & 7) !== 0) bytes[mask + (bits >> 3)] = 0xff00 >> (bits & 7);
    return at;
  }

  private get rootLink(): number {
    return this.controlAddress(control.root);
  }

  /** The link that leads to the place of a prefix: to its node, or to the first that is not above it. */
  private linkOf(key: Uint8Array, bits: number): { link: number; at: number; shared: number; above: number } {
    let link = this.rootLink;
    let above = 0;
    for (;;) {
      const at = this.word(link);
      if (at === 0) return { link, at, shared: 0, above };
      const shared = this.shared(at, key, bits);
      const length = this.word(at + trie.length);
      if (shared !== length || length === bits) return { link, at, shared, above };
      above = link;
      link = at + trie.children + this.bitOf(key, 4, length) * 4;
    }
  }

  // ---- operations ----

  override lookup(key: Uint8Array): number {
    const bits = wordOf(key);
    if (bits > this.maxBits) return 0;
    let found = 0;
    for (let at = this.word(this.rootLink); at !== 0;) {
      const length = this.word(at + trie.length);
      if (length > bits || this.shared(at, key, bits) !== length) break;
      const value = this.word(at + trie.value);
      if (value !== 0) found = value;
      if (length === this.maxBits) break;
      at = this.word(at + trie.children + this.bitOf(key, 4, length) * 4);
    }
    return found;
  }

  /** trie_update_elem */
  override update(key: Uint8Array, value: Uint8Array, flags: bigint): number {
    const bits = wordOf(key);
    if (flags > BigInt(updateFlags.existing) || bits > this.maxBits) return -errno.EINVAL;
    const { link, at, shared } = this.linkOf(key, bits);
    const same = at !== 0 && shared === bits && this.word(at + trie.length) === bits;
    const old = same ? this.word(at + trie.value) : 0;
    if (old !== 0 && flags === BigInt(updateFlags.new)) return -errno.EEXIST;
    if (old === 0 && flags === BigInt(updateFlags.existing)) return -errno.ENOENT;
    if (old === 0 && this.count >= this.spec.maxEntries) return -errno.ENOSPC;
    const address = this.slab.take();
    this.putValue(address, value);
    if (same) this.replace(key, { at, old, address });
    else this.insert(key, { bits, link, at, shared, address });
    if (old === 0) this.count++;
    return 0;
  }

  private replace(key: Uint8Array, what: { at: number; old: number; address: number }): void {
    if (what.old !== 0) this.slab.give(what.old);
    this.setWord(what.at + trie.value, what.address);
    // The kernel's new node has the bytes as they were given, also behind the prefix.
    this.host.memory.bytes.set(key.subarray(4), what.at + trie.data);
  }

  private insert(
    key: Uint8Array,
    where: { bits: number; link: number; at: number; shared: number; address: number },
  ): void {
    const { bits, link, at, shared } = where;
    const made = this.makeNode(key, bits, where.address);
    if (at === 0) {
      this.setWord(link, made);
      return;
    }
    const { bytes } = this.host.memory;
    if (shared === bits) {
      // The new one stands above.
      this.setWord(made + trie.children + this.bitOf(bytes, at + trie.data, bits) * 4, at);
      this.setWord(link, made);
      return;
    }
    const fork = this.makeNode(key, shared, 0);
    const side = this.bitOf(key, 4, shared);
    this.setWord(fork + trie.children + side * 4, made);
    this.setWord(fork + trie.children + (1 - side) * 4, at);
    this.setWord(link, fork);
  }

  /** trie_delete_elem */
  override remove(key: Uint8Array): number {
    const bits = wordOf(key);
    if (bits > this.maxBits) return -errno.EINVAL;
    const { link, at, shared, above } = this.linkOf(key, bits);
    const value = at === 0 ? 0 : this.word(at + trie.value);
    if (value === 0 || shared !== bits || this.word(at + trie.length) !== bits) return -errno.ENOENT;
    this.slab.give(value);
    this.count--;
    const [left, right] = [this.word(at + trie.children), this.word(at + trie.children + 4)];
    if (left !== 0 && right !== 0) {
      this.setWord(at + trie.value, 0);
      return 0;
    }
    this.setWord(link, left === 0 ? right : left);
    this.pool.give(at);
    if (left === 0 && right === 0 && above !== 0) this.collapse(above);
    return 0;
  }

  /** A fork that has lost a child gives way to the other. */
  private collapse(link: number): void {
    const at = this.word(link);
    if (this.word(at + trie.value) !== 0) return;
    const [left, right] = [this.word(at + trie.children), this.word(at + trie.children + 4)];
    if (left !== 0 && right !== 0) return;
    this.setWord(link, left === 0 ? right : left);
    this.pool.give(at);
  }

  /** Children before what is above them, as trie_get_next_key. */
  override *keys(): Iterable<Uint8Array> {
    for (const at of this.below(this.word(this.rootLink))) yield this.keyOf(at);
  }

  private *below(at: number): Iterable<number> {
    if (at === 0) return;
    yield* this.below(this.word(at + trie.children));
    yield* this.below(this.word(at + trie.children + 4));
    if (this.word(at + trie.value) !== 0) yield at;
  }

  private keyOf(at: number): Uint8Array {
    const key = new Uint8Array(this.spec.keySize);
    key.set(wordBytes(this.word(at + trie.length)));
    key.set(this.host.memory.bytes.subarray(at + trie.data, at + trie.data + this.dataSize), 4);
    return key;
  }

  /** trie_get_next_key: what stands behind the prefix in the key does not matter. */
  protected override nextUser(key: Uint8Array | null): Uint8Array | number {
    const all = [...this.below(this.word(this.rootLink))];
    const bits = key === null ? this.maxBits + 1 : wordOf(key);
    let at = 0;
    if (key !== null && bits <= this.maxBits) {
      const found = this.linkOf(key, bits);
      if (found.at !== 0 && found.shared === bits && this.word(found.at + trie.length) === bits) at = found.at;
    }
    const next = all[all.indexOf(at) + 1];
    return next === undefined ? -errno.ENOENT : this.keyOf(next);
  }

  protected override release(): void {
    this.slab.release();
    this.pool.release();
  }
}
