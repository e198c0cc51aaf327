/** Hash functions over bytes, with the results of their references; none is cryptographic but SipHash with a secret key. */

const u64 = (value: bigint): bigint => BigInt.asUintN(64, value);
const rotl32 = (value: number, by: number): number => (value << by) | (value >>> (32 - by));
const rotl64 = (value: bigint, by: bigint): bigint => u64((value << by) | (value >> (64n - by)));

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

const JHASH_INITVAL = 0xdeadbeef;

// The state is passed and changed in place: three 32-bit words.
function jhashMix(s: Int32Array): void {
  let [a = 0, b = 0, c = 0] = s;
  a = (a - c) ^ rotl32(c, 4);
  c = (c + b) | 0;
  b = (b - a) ^ rotl32(a, 6);
  a = (a + c) | 0;
  c = (c - b) ^ rotl32(b, 8);
  b = (b + a) | 0;
  a = (a - c) ^ rotl32(c, 16);
  c = (c + b) | 0;
  b = (b - a) ^ rotl32(a, 19);
  a = (a + c) | 0;
  c = (c - b) ^ rotl32(b, 4);
  b = (b + a) | 0;
  s[0] = a;
  s[1] = b;
  s[2] = c;
}

function jhashFinal(s: Int32Array): number {
  let [a = 0, b = 0, c = 0] = s;
  c = ((c ^ b) - rotl32(b, 14)) | 0;
  a = ((a ^ c) - rotl32(c, 11)) | 0;
  b = ((b ^ a) - rotl32(a, 25)) | 0;
  c = ((c ^ b) - rotl32(b, 16)) | 0;
  a = ((a ^ c) - rotl32(c, 4)) | 0;
  b = ((b ^ a) - rotl32(a, 14)) | 0;
  c = ((c ^ b) - rotl32(b, 24)) | 0;
  return c >>> 0;
}

/** Jenkins' lookup3 as the kernel has it (include/linux/jhash.h, `jhash`), on a little-endian machine. Unsigned 32 bits. */
export function jhash(bytes: Uint8Array, seed = 0): number {
  const state = new Int32Array(3).fill((JHASH_INITVAL + bytes.length + seed) | 0);
  const view = viewOf(bytes);
  let at = 0;
  for (; bytes.length - at > 12; at += 12) {
    for (let i = 0; i < 3; i++) state[i] = (state[i] ?? 0) + view.getInt32(at + i * 4, true);
    jhashMix(state);
  }
  if (at === bytes.length) return (state[2] ?? 0) >>> 0;
  const tail = new Uint8Array(12);
  tail.set(bytes.subarray(at));
  const words = viewOf(tail);
  for (let i = 0; i < 3; i++) state[i] = (state[i] ?? 0) + words.getInt32(i * 4, true);
  return jhashFinal(state);
}

/** The kernel's `jhash2`: the same over 32-bit words. Unsigned 32 bits. */
export function jhash2(words: readonly number[] | Uint32Array, seed = 0): number {
  const state = new Int32Array(3).fill((JHASH_INITVAL + (words.length << 2) + seed) | 0);
  let at = 0;
  for (; words.length - at > 3; at += 3) {
    for (let i = 0; i < 3; i++) state[i] = (state[i] ?? 0) + (words[at + i] ?? 0);
    jhashMix(state);
  }
  if (at === words.length) return (state[2] ?? 0) >>> 0;
  for (let i = 0; at + i < words.length; i++) state[i] = (state[i] ?? 0) + (words[at + i] ?? 0);
  return jhashFinal(state);
}

function fmix64(value: bigint): bigint {
  let k = value;
  k = u64((k ^ (k >> 33n)) * 0xff51afd7ed558ccdn);
  k = u64((k ^ (k >> 33n)) * 0xc4ceb9fe1a85ec53n);
  return k ^ (k >> 33n);
}

const MURMUR_C1 = 0x87c37b91114253d5n;
const MURMUR_C2 = 0x4cf5ad432745937fn;

/** MurmurHash3 x64, 128 bits: two unsigned 64-bit halves. The seed has unsigned 32 bits. */
export function murmur3x64(bytes: Uint8Array, seed = 0): { readonly h1: bigint; readonly h2: bigint } {
  const view = viewOf(bytes);
  let h1 = BigInt(seed >>> 0);
  let h2 = h1;
  const scramble1 = (k: bigint) => u64(rotl64(u64(k * MURMUR_C1), 31n) * MURMUR_C2);
  const scramble2 = (k: bigint) => u64(rotl64(u64(k * MURMUR_C2), 33n) * MURMUR_C1);
  const blocks = bytes.length - (bytes.length % 16);
  for (let at = 0; at < blocks; at += 16) {
    h1 ^= scramble1(view.getBigUint64(at, true));
    h1 = u64((rotl64(h1, 27n) + h2) * 5n + 0x52dce729n);
    h2 ^= scramble2(view.getBigUint64(at + 8, true));
    h2 = u64((rotl64(h2, 31n) + h1) * 5n + 0x38495ab5n);
  }
  const tail = new Uint8Array(16);
  tail.set(bytes.subarray(blocks));
  const words = viewOf(tail);
  h2 ^= scramble2(words.getBigUint64(8, true));
  h1 ^= scramble1(words.getBigUint64(0, true));
  const length = BigInt(bytes.length);
  h1 ^= length;
  h2 ^= length;
  h1 = u64(h1 + h2);
  h2 = u64(h2 + h1);
  h1 = fmix64(h1);
  h2 = fmix64(h2);
  h1 = u64(h1 + h2);
  return { h1, h2: u64(h2 + h1) };
}

/** SipHash-2-4 with a key of 16 bytes: unsigned 64 bits. Throws a RangeError for a key of another length. */
export function siphash24(key: Uint8Array, bytes: Uint8Array): bigint {
  if (key.length !== 16) throw new RangeError(`a SipHash key has 16 bytes, not ${key.length}`);
  const k0 = viewOf(key).getBigUint64(0, true);
  const k1 = viewOf(key).getBigUint64(8, true);
  let v0 = k0 ^ 0x736f6d6570736575n;
  let v1 = k1 ^ 0x646f72616e646f6dn;
  let v2 = k0 ^ 0x6c7967656e657261n;
  let v3 = k1 ^ 0x7465646279746573n;
  const round = () => {
    v0 = u64(v0 + v1);
    v1 = rotl64(v1, 13n) ^ v0;
    v0 = rotl64(v0, 32n);
    v2 = u64(v2 + v3);
    v3 = rotl64(v3, 16n) ^ v2;
    v0 = u64(v0 + v3);
    v3 = rotl64(v3, 21n) ^ v0;
    v2 = u64(v2 + v1);
    v1 = rotl64(v1, 17n) ^ v2;
    v2 = rotl64(v2, 32n);
  };
  const compress = (word: bigint) => {
    v3 ^= word;
    round();
    round();
    v0 ^= word;
  };
  const whole = bytes.length - (bytes.length % 8);
  const view = viewOf(bytes);
  for (let at = 0; at < whole; at += 8) compress(view.getBigUint64(at, true));
  const last = new Uint8Array(8);
  last.set(bytes.subarray(whole));
  last[7] = bytes.length & 0xff;
  compress(viewOf(last).getBigUint64(0, true));
  v2 ^= 0xffn;
  for (let i = 0; i < 4; i++) round();
  return v0 ^ v1 ^ v2 ^ v3;
}

/** FNV-1a of 32 bits, unsigned. */
export function fnv1a32(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

/** FNV-1a of 64 bits, unsigned. */
export function fnv1a64(bytes: Uint8Array): bigint {
  let hash = 0xcbf29ce484222325n;
  for (const byte of bytes) hash = u64((hash ^ BigInt(byte)) * 0x100000001b3n);
  return hash;
}

function crcTable(polynomial: number): Int32Array {
  return Int32Array.from({ length: 256 }, (_, index) => {
    let crc = index;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ polynomial;
    return crc;
  });
}

const crc32Table = crcTable(0xedb88320);
const crc32cTable = crcTable(0x82f63b78);

function crc(table: Int32Array, bytes: Uint8Array, previous: number): number {
  let value = ~previous;
  for (const byte of bytes) value = (value >>> 8) ^ (table[(value ^ byte) & 0xff] ?? 0);
  return ~value >>> 0;
}

/** CRC-32 (IEEE 802.3), unsigned. `previous`: the result for the bytes before. */
export function crc32(bytes: Uint8Array, previous = 0): number {
  return crc(crc32Table, bytes, previous);
}

/** CRC-32C (Castagnoli), the checksum of SCTP, unsigned. `previous`: the result for the bytes before. */
export function crc32c(bytes: Uint8Array, previous = 0): number {
  return crc(crc32cTable, bytes, previous);
}
