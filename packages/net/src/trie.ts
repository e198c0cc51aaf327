import type { Address, Prefix } from "./address.ts";
import { familyBits } from "./prefix.ts";

interface Node<V> {
  /** The key; bits after `length` are zero. */
  readonly bytes: Uint8Array;
  readonly length: number;
  /** Absent in a node that only branches. */
  entry: { readonly value: V } | null;
  zero: Node<V> | null;
  one: Node<V> | null;
}

/** A key of the trie with its value. Bits of `bytes` after `length` are zero. */
export interface BitEntry<V> {
  readonly bytes: Uint8Array;
  /** Bits. */
  readonly length: number;
  readonly value: V;
}

function bitAt(bytes: Uint8Array, index: number): 0 | 1 {
  return (((bytes[index >> 3] ?? 0) >> (7 - (index & 7))) & 1) as 0 | 1;
}

/** Bits that `a` and `b` share from the first on, at most `limit`; the bytes before `from` are known to be equal. */
function sharedBits(a: Uint8Array, b: Uint8Array, limit: number, from: number): number {
  for (let i = from; i * 8 < limit; i++) {
    const difference = (a[i] ?? 0) ^ (b[i] ?? 0);
    if (difference !== 0) return Math.min(limit, i * 8 + Math.clz32(difference) - 24);
  }
  return limit;
}

function masked(bytes: Uint8Array, length: number): Uint8Array {
  const copy = bytes.slice(0, Math.ceil(length / 8));
  const last = copy.length - 1;
  if (length % 8 !== 0) copy[last] = (copy[last] ?? 0) & (0xff00 >> (length % 8));
  return copy;
}

function padded(bytes: Uint8Array, length: number): Uint8Array {
  const copy = new Uint8Array(length);
  copy.set(bytes.subarray(0, length));
  return copy;
}

/**
 * Longest-prefix match over strings of bits: a path-compressed binary trie. Every operation takes steps in the
 * number of prefixes of the key that branch, at most its length. Keys are copied.
 */
export class BitTrie<V> {
  private root: Node<V> | null = null;
  private count = 0;

  /** How many keys there are. */
  get size(): number {
    return this.count;
  }

  /** Puts the value under the first `length` bits. Gives the value that was there, or null. */
  set(bytes: Uint8Array, length: number, value: V): V | null {
    let parent: Node<V> | null = null;
    let node = this.root;
    let shared = 0;
    while (node !== null) {
      shared = sharedBits(node.bytes, bytes, Math.min(node.length, length), shared >> 3);
      if (shared < node.length || node.length === length) break;
      parent = node;
      node = bitAt(bytes, node.length) === 0 ? node.zero : node.one;
    }
    if (node !== null && shared === node.length && node.length === length) return this.replace(node, value);
    const leaf: Node<V> = { bytes: masked(bytes, length), length, entry: { value }, zero: null, one: null };
    this.count++;
    this.hang(parent, node === null ? leaf : this.join(leaf, node, shared));
    return null;
  }

  private replace(node: Node<V>, value: V): V | null {
    const before = node.entry;
    node.entry = { value };
    if (before !== null) return before.value;
    this.count++;
    return null;
  }

  /** The node that holds a new leaf and an old node which share that many bits. */
  private join(leaf: Node<V>, old: Node<V>, shared: number): Node<V> {
    const top: Node<V> =
      shared === leaf.length
        ? leaf
        : { bytes: masked(leaf.bytes, shared), length: shared, entry: null, zero: null, one: null };
    for (const child of top === leaf ? [old] : [leaf, old]) {
      if (bitAt(child.bytes, shared) === 0) top.zero = child;
      else top.one = child;
    }
    return top;
  }

  private hang(parent: Node<V> | null, child: Node<V>): void {
    if (parent === null) this.root = child;
    else if (bitAt(child.bytes, parent.length) === 0) parent.zero = child;
    else parent.one = child;
  }

  /** The value under exactly these bits, or null. */
  get(bytes: Uint8Array, length: number): V | null {
    let node = this.root;
    let shared = 0;
    while (node !== null && node.length <= length) {
      shared = sharedBits(node.bytes, bytes, node.length, shared >> 3);
      if (shared < node.length) return null;
      if (node.length === length) return node.entry?.value ?? null;
      node = bitAt(bytes, node.length) === 0 ? node.zero : node.one;
    }
    return null;
  }

  /** Whether there is a value under exactly these bits. */
  has(bytes: Uint8Array, length: number): boolean {
    return this.path(bytes, length).some((node) => node.length === length);
  }

  /** The longest key that begins the first `length` bits, or null. */
  lookup(bytes: Uint8Array, length: number): BitEntry<V> | null {
    const node = this.longest(bytes, length);
    return node === null ? null : entryOf(node);
  }

  /** The value of the longest key that begins the first `length` bits, or null. Makes no object. */
  lookupValue(bytes: Uint8Array, length: number): V | null {
    return this.longest(bytes, length)?.entry?.value ?? null;
  }

  private longest(bytes: Uint8Array, length: number): Node<V> | null {
    // Down by the branching bits alone, without a look at keys: every node above the last has a part of its key.
    let last: Node<V> | null = null;
    let node = this.root;
    while (node !== null && node.length <= length) {
      last = node;
      if (node.length === length) break;
      node = bitAt(bytes, node.length) === 0 ? node.zero : node.one;
    }
    if (last === null) return null;
    const shared = sharedBits(last.bytes, bytes, last.length, 0);
    if (shared === last.length && last.entry !== null) return last;
    let best: Node<V> | null = null;
    node = this.root;
    while (node !== null && node.length <= shared) {
      if (node.entry !== null) best = node;
      if (node === last) break;
      node = bitAt(bytes, node.length) === 0 ? node.zero : node.one;
    }
    return best;
  }

  /** All keys that begin the first `length` bits, the shortest first. */
  covering(bytes: Uint8Array, length: number): BitEntry<V>[] {
    return this.path(bytes, length).map((node) => entryOf(node));
  }

  private path(bytes: Uint8Array, length: number): Node<V>[] {
    const found: Node<V>[] = [];
    let node = this.root;
    let shared = 0;
    while (node !== null && node.length <= length) {
      shared = sharedBits(node.bytes, bytes, node.length, shared >> 3);
      if (shared < node.length) break;
      if (node.entry !== null) found.push(node);
      if (node.length === length) break;
      node = bitAt(bytes, node.length) === 0 ? node.zero : node.one;
    }
    return found;
  }

  /** All keys that the first `length` bits begin, themselves included, in the order of their bits. */
  *coveredBy(bytes: Uint8Array, length: number): Generator<BitEntry<V>> {
    let node = this.root;
    while (node !== null && node.length < length) {
      if (sharedBits(node.bytes, bytes, node.length, 0) < node.length) return;
      node = bitAt(bytes, node.length) === 0 ? node.zero : node.one;
    }
    if (node !== null && sharedBits(node.bytes, bytes, length, 0) === length) yield* walk(node);
  }

  /** Removes the value under exactly these bits. False if there is none. */
  delete(bytes: Uint8Array, length: number): boolean {
    const above: Node<V>[] = [];
    let node = this.root;
    while (node !== null && node.length < length) {
      if (sharedBits(node.bytes, bytes, node.length, 0) < node.length) return false;
      above.push(node);
      node = bitAt(bytes, node.length) === 0 ? node.zero : node.one;
    }
    if (node === null || node.length !== length || node.entry === null) return false;
    if (sharedBits(node.bytes, bytes, length, 0) < length) return false;
    node.entry = null;
    this.count--;
    this.prune(above, node);
    return true;
  }

  /** Takes away nodes that neither hold a value nor branch. */
  private prune(above: Node<V>[], start: Node<V>): void {
    let node: Node<V> | undefined = start;
    while (node !== undefined && node.entry === null && (node.zero === null || node.one === null)) {
      const parent = above.pop();
      const only: Node<V> | null = node.zero ?? node.one;
      if (parent === undefined) this.root = only;
      else if (parent.zero === node) parent.zero = only;
      else parent.one = only;
      if (only !== null) return;
      node = parent;
    }
  }

  /** Removes everything. */
  clear(): void {
    this.root = null;
    this.count = 0;
  }

  /** All keys, in the order of their bits; a key comes before those that it begins. */
  *entries(): Generator<BitEntry<V>> {
    if (this.root !== null) yield* walk(this.root);
  }
}

function entryOf<V>(node: Node<V>): BitEntry<V> {
  if (node.entry === null) throw new Error("a branching node has no value");
  return { bytes: node.bytes, length: node.length, value: node.entry.value };
}

function* walk<V>(start: Node<V>): Generator<BitEntry<V>> {
  const stack = [start];
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    if (node.entry !== null) yield entryOf(node);
    if (node.one !== null) stack.push(node.one);
    if (node.zero !== null) stack.push(node.zero);
  }
}

/** A prefix of the trie with its value. */
export interface PrefixEntry<V> {
  readonly prefix: Prefix;
  readonly value: V;
}

/** Longest-prefix match over addresses of both families, which do not see one another. Host bits do not count. */
export class PrefixTrie<V> {
  private readonly v4 = new BitTrie<V>();
  private readonly v6 = new BitTrie<V>();

  constructor(entries: Iterable<readonly [Prefix, V]> = []) {
    for (const [prefix, value] of entries) this.set(prefix, value);
  }

  /** How many prefixes there are. */
  get size(): number {
    return this.v4.size + this.v6.size;
  }

  private of(address: Address): BitTrie<V> {
    return address.family === 4 ? this.v4 : this.v6;
  }

  /** Puts the value under the prefix. Gives the value that was there, or null. */
  set(prefix: Prefix, value: V): V | null {
    return this.of(prefix.address).set(prefix.address.bytes, prefix.length, value);
  }

  /** The value under exactly this prefix, or null. */
  get(prefix: Prefix): V | null {
    return this.of(prefix.address).get(prefix.address.bytes, prefix.length);
  }

  /** Whether exactly this prefix is there. */
  has(prefix: Prefix): boolean {
    return this.of(prefix.address).has(prefix.address.bytes, prefix.length);
  }

  /** Removes exactly this prefix. False if it was not there. */
  delete(prefix: Prefix): boolean {
    return this.of(prefix.address).delete(prefix.address.bytes, prefix.length);
  }

  /** Removes everything. */
  clear(): void {
    this.v4.clear();
    this.v6.clear();
  }

  /** The longest prefix that contains the address, or null. */
  lookup(address: Address): PrefixEntry<V> | null {
    const entry = this.of(address).lookup(address.bytes, familyBits(address.family));
    return entry === null ? null : toPrefixEntry(address.family, entry);
  }

  /** The value of the longest prefix that contains the address, or null. Makes no object. */
  lookupValue(address: Address): V | null {
    return this.of(address).lookupValue(address.bytes, familyBits(address.family));
  }

  /** All prefixes that cover this one, itself included, the shortest first. */
  covering(prefix: Prefix): PrefixEntry<V>[] {
    const { address, length } = prefix;
    return this.of(address)
      .covering(address.bytes, length)
      .map((entry) => toPrefixEntry(address.family, entry));
  }

  /** All prefixes inside of this one, itself included, in order. */
  *coveredBy(prefix: Prefix): Generator<PrefixEntry<V>> {
    const { address, length } = prefix;
    for (const entry of this.of(address).coveredBy(address.bytes, length)) yield toPrefixEntry(address.family, entry);
  }

  /** All prefixes: IPv4 before IPv6, by address, a prefix before those inside of it. */
  *entries(): Generator<PrefixEntry<V>> {
    for (const entry of this.v4.entries()) yield toPrefixEntry(4, entry);
    for (const entry of this.v6.entries()) yield toPrefixEntry(6, entry);
  }
}

function toPrefixEntry<V>(family: 4 | 6, entry: BitEntry<V>): PrefixEntry<V> {
  const bytes = padded(entry.bytes, family === 4 ? 4 : 16);
  return { prefix: { address: { family, bytes }, length: entry.length }, value: entry.value };
}
