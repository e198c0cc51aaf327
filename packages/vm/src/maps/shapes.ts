/**
 * @module
 * How maps lie in linear memory. Their tables stand outside of all regions, so that checked programs reach the values alone. Compiled
 * lookups (jit/lookups.ts) read the same bytes.
 */

/** Words of a map's control block. Which are used depends on the kind. */
export const control = {
  /** Hash: buckets - 1. */
  mask: 0,
  buckets: 4,
  /** Per-CPU kinds: bytes from the first CPU's value to that of the CPU that runs programs. */
  cpuOffset: 8,
  /** LPM trie: the root node, 0 for none. */
  root: 0,
  /** Arrays. */
  entries: 0,
  base: 4,
  stride: 12,
} as const;

/** An element of a hash table. `value`: the address of the value, or the handle of an inner map. */
export const node = { next: 0, hash: 4, value: 8, used: 12, key: 16 } as const;

/** A node of a trie: two children, the prefix's length in bits, the value's address (0: only a fork), the bytes, and the prefix's mask. */
export const trie = {
  children: 0,
  length: 8,
  value: 12,
  data: 16,
  dataBytes: (bytes: number): number => Math.ceil(bytes / 8) * 8,
} as const;

export const hashConstants = { seed: 0x5bd1_e995, first: 0x9e37_79b1 | 0, last: 0x85eb_ca6b | 0 } as const;

/** Of `size` bytes at `at`; signed. */
export function hashKey(bytes: Uint8Array, at: number, size: number): number {
  let hash: number = hashConstants.seed;
  for (let i = 0; i < size; i += 4) {
    const left = size - i;
    let word = bytes[at + i] ?? 0;
    if (left > 1) word |= (bytes[at + i + 1] ?? 0) << 8;
    if (left > 2) word |= (bytes[at + i + 2] ?? 0) << 16;
    if (left > 3) word |= (bytes[at + i + 3] ?? 0) << 24;
    hash = Math.imul(hash ^ word, hashConstants.first);
    hash ^= hash >>> 15;
  }
  hash = Math.imul(hash, hashConstants.last);
  return hash ^ (hash >>> 16);
}
