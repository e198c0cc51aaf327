// Hashes: of words, of bytes. The same functions build a table in user space and read it in the kernel.
import { u32, u64, u8 } from "@skep/bpf";

export function rotateLeft32(value: u32, count: u32): u32 {
  return (value << count) | (value >> (32 - count));
}

export function rotateLeft64(value: u64, count: u64): u64 {
  return (value << count) | (value >> (64n - count));
}

// ---- jhash (Bob Jenkins' lookup3 as include/linux/jhash.h has it) ----

const JHASH_INITVAL = 0xdeadbeef;

function jhashFinal(a0: u32, b0: u32, c0: u32): u32 {
  let a = a0;
  let b = b0;
  let c = c0;
  c ^= b;
  c -= rotateLeft32(b, 14);
  a ^= c;
  a -= rotateLeft32(c, 11);
  b ^= a;
  b -= rotateLeft32(a, 25);
  c ^= b;
  c -= rotateLeft32(b, 16);
  a ^= c;
  a -= rotateLeft32(c, 4);
  b ^= a;
  b -= rotateLeft32(a, 14);
  c ^= b;
  c -= rotateLeft32(b, 24);
  return c;
}

export function jhash3Words(a: u32, b: u32, c: u32, seed: u32): u32 {
  const start: u32 = seed + JHASH_INITVAL + (3 << 2);
  return jhashFinal(a + start, b + start, c + start);
}

export function jhash2Words(a: u32, b: u32, seed: u32): u32 {
  const start: u32 = seed + JHASH_INITVAL + (2 << 2);
  return jhashFinal(a + start, b + start, start);
}

export function jhash1Word(a: u32, seed: u32): u32 {
  const start: u32 = seed + JHASH_INITVAL + (1 << 2);
  return jhashFinal(a + start, start, start);
}

/** jhash2 of the kernel: any number of words, known at compile time. */
export function jhashWords(words: readonly u32[], seed: u32): u32 {
  const start: u32 = JHASH_INITVAL + (u32(words.length) << 2) + seed;
  let a = start;
  let b = start;
  let c = start;
  let filled = 0;
  let left = u32(words.length);
  for (const word of words) {
    if (filled === 3) {
      a -= c;
      a ^= rotateLeft32(c, 4);
      c += b;
      b -= a;
      b ^= rotateLeft32(a, 6);
      a += c;
      c -= b;
      c ^= rotateLeft32(b, 8);
      b += a;
      a -= c;
      a ^= rotateLeft32(c, 16);
      c += b;
      b -= a;
      b ^= rotateLeft32(a, 19);
      a += c;
      c -= b;
      c ^= rotateLeft32(b, 4);
      b += a;
      filled = 0;
    }
    if (filled === 0) a += word;
    else if (filled === 1) b += word;
    else c += word;
    filled += 1;
    left -= 1;
  }
  return words.length === 0 ? c : jhashFinal(a, b, c);
}

// ---- murmur3, 32 bits ----

function murmurMix(hash: u32, word: u32): u32 {
  const k: u32 = rotateLeft32(word * 0xcc9e2d51, 15) * 0x1b873593;
  return rotateLeft32(hash ^ k, 13) * 5 + 0xe6546b64;
}

/** MurmurHash3_x86_32 of whole words. */
export function murmur3Words(words: readonly u32[], seed: u32): u32 {
  let hash: u32 = seed;
  for (const word of words) hash = murmurMix(hash, word);
  hash ^= u32(words.length) * 4;
  hash ^= hash >> 16;
  hash *= 0x85ebca6b;
  hash ^= hash >> 13;
  hash *= 0xc2b2ae35;
  hash ^= hash >> 16;
  return hash;
}

// ---- FNV-1a ----

export function fnv1a32(bytes: readonly u8[]): u32 {
  let hash: u32 = 0x811c9dc5;
  for (const byte of bytes) hash = (hash ^ byte) * 0x01000193;
  return hash;
}

export function fnv1a64(bytes: readonly u8[]): u64 {
  let hash: u64 = 0xcbf29ce484222325n;
  for (const byte of bytes) hash = (hash ^ u64(byte)) * 0x100000001b3n;
  return hash;
}

// ---- SipHash-2-4 ----

/** Of 64-bit words, as the kernel's siphash_2u64 and its like. */
export function sipHashWords(words: readonly u64[], key0: u64, key1: u64): u64 {
  let v0: u64 = 0x736f6d6570736575n ^ key0;
  let v1: u64 = 0x646f72616e646f6dn ^ key1;
  let v2: u64 = 0x6c7967656e657261n ^ key0;
  let v3: u64 = 0x7465646279746573n ^ key1;
  const round = (): void => {
    v0 += v1;
    v1 = rotateLeft64(v1, 13n) ^ v0;
    v0 = rotateLeft64(v0, 32n);
    v2 += v3;
    v3 = rotateLeft64(v3, 16n) ^ v2;
    v0 += v3;
    v3 = rotateLeft64(v3, 21n) ^ v0;
    v2 += v1;
    v1 = rotateLeft64(v1, 17n) ^ v2;
    v2 = rotateLeft64(v2, 32n);
  };
  for (const word of words) {
    v3 ^= word;
    round();
    round();
    v0 ^= word;
  }
  const last: u64 = u64(words.length * 8) << 56n;
  v3 ^= last;
  round();
  round();
  v0 ^= last;
  v2 ^= 0xffn;
  round();
  round();
  round();
  round();
  return v0 ^ v1 ^ v2 ^ v3;
}

// ---- CRC-32 (IEEE 802.3) ----

/** Four bits at a time by a table of sixteen words. */
const CRC32_NIBBLE = [
  0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c, 0xedb88320,
  0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
] as const;

export function crc32(bytes: readonly u8[]): u32 {
  let crc: u32 = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    crc = (crc >> 4) ^ (CRC32_NIBBLE[crc & 15] ?? 0);
    crc = (crc >> 4) ^ (CRC32_NIBBLE[crc & 15] ?? 0);
  }
  return ~crc;
}
