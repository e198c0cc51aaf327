/**
 * @module
 * The standard library's hashes and checksums, written apart from it: by the papers, on bigints, without a thought of speed.
 */
import { crc32 as zlibCrc32 } from "node:zlib";

const MASK32 = 0xffff_ffffn;
const MASK64 = (1n << 64n) - 1n;
const rotate = (value: bigint, count: bigint, bits: bigint): bigint =>
  ((value << count) | (value >> (bits - count))) & ((1n << bits) - 1n);
const rotate32 = (value: bigint, count: number): bigint => rotate(value, BigInt(count), 32n);
const rotate64 = (value: bigint, count: number): bigint => rotate(value, BigInt(count), 64n);

/** jhash2 of include/linux/jhash.h. */
export function jhash(words: readonly number[], seed: number): number {
  let [a, b, c] = Array.from({ length: 3 }, () => (0xdeadbeefn + BigInt(words.length * 4) + BigInt(seed)) & MASK32) as [
    bigint,
    bigint,
    bigint,
  ];
  const rest = words.map(BigInt);
  while (rest.length > 3) {
    a = (a + (rest.shift() ?? 0n)) & MASK32;
    b = (b + (rest.shift() ?? 0n)) & MASK32;
    c = (c + (rest.shift() ?? 0n)) & MASK32;
    for (const count of [4, 6, 8, 16, 19, 4]) {
      // a -= c; a ^= rot(c, count); c += b; then the three change their roles, and after six steps are back.
      const mixed = ((a - c) & MASK32) ^ rotate32(c, count);
      [a, b, c] = [b, (c + b) & MASK32, mixed];
    }
  }
  if (rest.length === 0) return Number(c);
  a = (a + (rest[0] ?? 0n)) & MASK32;
  b = (b + (rest[1] ?? 0n)) & MASK32;
  c = (c + (rest[2] ?? 0n)) & MASK32;
  const steps: readonly (readonly ["a" | "b" | "c", "a" | "b" | "c", number])[] = [
    ["c", "b", 14],
    ["a", "c", 11],
    ["b", "a", 25],
    ["c", "b", 16],
    ["a", "c", 4],
    ["b", "a", 14],
    ["c", "b", 24],
  ];
  const state = { a, b, c };
  for (const [to, by, count] of steps) state[to] = ((state[to] ^ state[by]) - rotate32(state[by], count)) & MASK32;
  return Number(state.c);
}

/** MurmurHash3_x86_32 of whole words. */
export function murmur3(words: readonly number[], seed: number): number {
  let hash = BigInt(seed);
  for (const word of words) {
    const key = (rotate32((BigInt(word) * 0xcc9e2d51n) & MASK32, 15) * 0x1b873593n) & MASK32;
    hash = (rotate32(hash ^ key, 13) * 5n + 0xe6546b64n) & MASK32;
  }
  hash ^= BigInt(words.length * 4);
  hash = ((hash ^ (hash >> 16n)) * 0x85ebca6bn) & MASK32;
  hash = ((hash ^ (hash >> 13n)) * 0xc2b2ae35n) & MASK32;
  return Number(hash ^ (hash >> 16n));
}

export function fnv1a(bytes: readonly number[], bits: 32 | 64): bigint {
  const [basis, prime, mask] =
    bits === 32 ? [0x811c9dc5n, 0x01000193n, MASK32] : [0xcbf29ce484222325n, 0x100000001b3n, MASK64];
  return bytes.reduce((hash, byte) => ((hash ^ BigInt(byte)) * prime) & mask, basis);
}

/** SipHash-2-4 (Aumasson, Bernstein) of whole words. */
export function sipHash(words: readonly bigint[], key0: bigint, key1: bigint): bigint {
  const v: [bigint, bigint, bigint, bigint] = [
    key0 ^ 0x736f6d6570736575n,
    key1 ^ 0x646f72616e646f6dn,
    key0 ^ 0x6c7967656e657261n,
    key1 ^ 0x7465646279746573n,
  ];
  const half = (x: number, y: number, count: number): void => {
    v[x] = ((v[x] as bigint) + (v[y] as bigint)) & MASK64;
    v[y] = rotate64(v[y] as bigint, count) ^ (v[x] as bigint);
  };
  const round = (): void => {
    half(0, 1, 13);
    v[0] = rotate64(v[0], 32);
    half(2, 3, 16);
    half(0, 3, 21);
    half(2, 1, 17);
    v[2] = rotate64(v[2], 32);
  };
  for (const word of [...words, BigInt.asUintN(8, BigInt(words.length * 8)) << 56n]) {
    v[3] ^= word;
    round();
    round();
    v[0] ^= word;
  }
  v[2] ^= 0xffn;
  for (let at = 0; at < 4; at++) round();
  return v[0] ^ v[1] ^ v[2] ^ v[3];
}

export const crc32 = (bytes: readonly number[]): number => zlibCrc32(Uint8Array.from(bytes));

/** The complement of the sum of 16-bit words (RFC 1071). */
export function internetChecksum(words: readonly number[]): number {
  let sum = words.reduce((total, word) => total + word, 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
