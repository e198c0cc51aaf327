// Hashes: of words, of bytes. The same functions build a table in user space and read it in the kernel.
import { u32, u64, u8 } from "@skep/bpf";

export function rotateLeft32(value: u32, count: u32): u32 {
  return (value << count) | (value >> (32 - count));
}

export function rotateLeft64(value: u64, count: u64): u64 {
  return (value << count) | (value >> (64n - count));
}

/** Hands the bytes on as words, the first byte lowest; gives what is left, zeros above. */
function words32(bytes: readonly u8[], add: (word: u32) => void): u32 {
  let word: u32 = 0;
  let shift: u32 = 0;
  for (const byte of bytes) {
    word |= u32(byte) << shift;
    shift += 8;
    if (shift === 32) {
      add(word);
      word = 0;
      shift = 0;
    }
  }
  return word;
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

/** lookup3 over the words that `feed` hands to its argument, one after the other; `start` holds the length in bytes and the seed. */
function jhashOf(start: u32, feed: (add: (word: u32) => void) => void): u32 {
  let a = start;
  let b = start;
  let c = start;
  let filled = 0;
  let isEmpty = true;
  feed((word: u32): void => {
    // What follows three words mixes them; the last ones are for the end alone.
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
    isEmpty = false;
  });
  return isEmpty ? c : jhashFinal(a, b, c);
}

/** jhash2 of the kernel: any number of words, known at compile time. */
export function jhashWords(words: readonly u32[], seed: u32): u32 {
  return jhashOf(JHASH_INITVAL + (u32(words.length) << 2) + seed, (add) => {
    for (const word of words) add(word);
  });
}

/** jhash of the kernel: any number of bytes, known at compile time. */
export function jhash(bytes: readonly u8[], seed: u32): u32 {
  return jhashOf(JHASH_INITVAL + u32(bytes.length) + seed, (add) => {
    const rest = words32(bytes, add);
    if (bytes.length % 4 !== 0) add(rest);
  });
}

// ---- murmur3, 32 bits ----

function murmurMix(hash: u32, word: u32): u32 {
  const k: u32 = rotateLeft32(word * 0xcc9e2d51, 15) * 0x1b873593;
  return rotateLeft32(hash ^ k, 13) * 5 + 0xe6546b64;
}

function murmurEnd(state: u32, length: u32): u32 {
  let hash: u32 = state ^ length;
  hash ^= hash >> 16;
  hash *= 0x85ebca6b;
  hash ^= hash >> 13;
  hash *= 0xc2b2ae35;
  hash ^= hash >> 16;
  return hash;
}

/** MurmurHash3_x86_32 of whole words. */
export function murmur3Words(words: readonly u32[], seed: u32): u32 {
  let hash: u32 = seed;
  for (const word of words) hash = murmurMix(hash, word);
  return murmurEnd(hash, u32(words.length) * 4);
}

/** MurmurHash3_x86_32 of any number of bytes, known at compile time. */
export function murmur3(bytes: readonly u8[], seed: u32): u32 {
  let hash: u32 = seed;
  const rest = words32(bytes, (word) => {
    hash = murmurMix(hash, word);
  });
  // Zero where nothing is left, and then nothing changes.
  hash ^= rotateLeft32(rest * 0xcc9e2d51, 15) * 0x1b873593;
  return murmurEnd(hash, u32(bytes.length));
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

/** Over the words that `feed` hands to its argument; it gives the last one, without the length in its highest byte. */
function sipHashOf(length: u64, key0: u64, key1: u64, feed: (add: (word: u64) => void) => u64): u64 {
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
  const add = (word: u64): void => {
    v3 ^= word;
    round();
    round();
    v0 ^= word;
  };
  const last = feed(add);
  add(last | (length << 56n));
  v2 ^= 0xffn;
  round();
  round();
  round();
  round();
  return v0 ^ v1 ^ v2 ^ v3;
}

/** Of 64-bit words, as the kernel's siphash_2u64 and its like. */
export function sipHashWords(words: readonly u64[], key0: u64, key1: u64): u64 {
  return sipHashOf(u64(words.length * 8), key0, key1, (add) => {
    for (const word of words) add(word);
    return 0n;
  });
}

/** Of any number of bytes, known at compile time. The key's bytes 0 to 7 are `key0`, the first lowest. */
export function sipHash(bytes: readonly u8[], key0: u64, key1: u64): u64 {
  return sipHashOf(u64(bytes.length), key0, key1, (add) => {
    let word: u64 = 0n;
    let shift: u64 = 0n;
    for (const byte of bytes) {
      word |= u64(byte) << shift;
      shift += 8n;
      if (shift === 64n) {
        add(word);
        word = 0n;
        shift = 0n;
      }
    }
    return word;
  });
}

// ---- CRC-32 (IEEE 802.3), and CRC-32C (Castagnoli: SCTP, iSCSI) ----

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

const CRC32C_NIBBLE = [
  0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d, 0x82f63b78,
  0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
] as const;

/** RFC 9260, appendix A. `Sctp.checksum` holds it as a field of little-endian bytes, over the packet with zero in its place. */
export function crc32c(bytes: readonly u8[]): u32 {
  let crc: u32 = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    crc = (crc >> 4) ^ (CRC32C_NIBBLE[crc & 15] ?? 0);
    crc = (crc >> 4) ^ (CRC32C_NIBBLE[crc & 15] ?? 0);
  }
  return ~crc;
}
