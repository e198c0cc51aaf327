// The pure functions of @skep/bpf/hash, made by packages/compiler/scripts/embed-standard.ts of hash.bpf.ts; a test compares.
// @ts-nocheck -- JavaScript; ../hash.ts gives the functions their types
const u64 = (value) => BigInt.asUintN(64, value);

let top = 72;

let memory = new DataView(new ArrayBuffer(65536));
let bytes = new Uint8Array(memory.buffer);
function enter(size) {
  const at = top;
  top += size;
  if (top > bytes.length) {
    const grown = new Uint8Array(2 * top);
    grown.set(bytes);
    bytes = grown;
    memory = new DataView(grown.buffer);
  }
  return at;
}
const leave = (frame, result) => {
  top = frame;
  return result;
};
const copy = (to, from, size) => void bytes.copyWithin(to, from, from + size);
const zero = (to, size) => void bytes.fill(0, to, to + size);

bytes.set([0, 0, 0, 0, 100, 16, 183, 29, 200, 32, 110, 59, 172, 48, 217, 38, 144, 65, 220, 118, 244, 81, 107, 107, 88, 97, 178, 77, 60, 113, 5, 80, 32, 131, 184, 237, 68, 147, 15, 240, 232, 163, 214, 214, 140, 179, 97, 203, 176, 194, 100, 155, 212, 210, 211, 134, 120, 226, 10, 160, 28, 242, 189, 189], 8);

function rotateLeft32$(value, count) {
  return (((value << count) >>> 0) | (value >>> ((32 - count) >>> 0))) >>> 0;
}

function rotateLeft64$(value, count) {
  return u64(value << (count & 63n)) | (value >> (u64(64n - count) & 63n));
}

function jhash3Words$(a, b, c, seed) {
  let a_2 = 0, b_2 = 0, c_2 = 0;
  const t7 = (((seed + 3735928559) >>> 0) + 12) >>> 0;
  a_2 = (a + t7) >>> 0;
  b_2 = (b + t7) >>> 0;
  c_2 = (c + t7) >>> 0;
  c_2 = (c_2 ^ b_2) >>> 0;
  const t19 = b_2;
  c_2 = (c_2 - ((((t19 << 14) >>> 0) | (t19 >>> 18)) >>> 0)) >>> 0;
  a_2 = (a_2 ^ c_2) >>> 0;
  const t32 = c_2;
  a_2 = (a_2 - ((((t32 << 11) >>> 0) | (t32 >>> 21)) >>> 0)) >>> 0;
  b_2 = (b_2 ^ a_2) >>> 0;
  const t45 = a_2;
  b_2 = (b_2 - ((((t45 << 25) >>> 0) | (t45 >>> 7)) >>> 0)) >>> 0;
  c_2 = (c_2 ^ b_2) >>> 0;
  const t58 = b_2;
  c_2 = (c_2 - ((((t58 << 16) >>> 0) | (t58 >>> 16)) >>> 0)) >>> 0;
  a_2 = (a_2 ^ c_2) >>> 0;
  const t71 = c_2;
  a_2 = (a_2 - ((((t71 << 4) >>> 0) | (t71 >>> 28)) >>> 0)) >>> 0;
  b_2 = (b_2 ^ a_2) >>> 0;
  const t84 = a_2;
  b_2 = (b_2 - ((((t84 << 14) >>> 0) | (t84 >>> 18)) >>> 0)) >>> 0;
  c_2 = (c_2 ^ b_2) >>> 0;
  const t97 = b_2;
  c_2 = (c_2 - ((((t97 << 24) >>> 0) | (t97 >>> 8)) >>> 0)) >>> 0;
  return c_2;
}

function jhash2Words$(a, b, seed) {
  let a_2 = 0, b_2 = 0, c = 0;
  const t6 = (((seed + 3735928559) >>> 0) + 8) >>> 0;
  a_2 = (a + t6) >>> 0;
  b_2 = (b + t6) >>> 0;
  c = t6;
  c = (c ^ b_2) >>> 0;
  const t17 = b_2;
  c = (c - ((((t17 << 14) >>> 0) | (t17 >>> 18)) >>> 0)) >>> 0;
  a_2 = (a_2 ^ c) >>> 0;
  const t30 = c;
  a_2 = (a_2 - ((((t30 << 11) >>> 0) | (t30 >>> 21)) >>> 0)) >>> 0;
  b_2 = (b_2 ^ a_2) >>> 0;
  const t43 = a_2;
  b_2 = (b_2 - ((((t43 << 25) >>> 0) | (t43 >>> 7)) >>> 0)) >>> 0;
  c = (c ^ b_2) >>> 0;
  const t56 = b_2;
  c = (c - ((((t56 << 16) >>> 0) | (t56 >>> 16)) >>> 0)) >>> 0;
  a_2 = (a_2 ^ c) >>> 0;
  const t69 = c;
  a_2 = (a_2 - ((((t69 << 4) >>> 0) | (t69 >>> 28)) >>> 0)) >>> 0;
  b_2 = (b_2 ^ a_2) >>> 0;
  const t82 = a_2;
  b_2 = (b_2 - ((((t82 << 14) >>> 0) | (t82 >>> 18)) >>> 0)) >>> 0;
  c = (c ^ b_2) >>> 0;
  const t95 = b_2;
  c = (c - ((((t95 << 24) >>> 0) | (t95 >>> 8)) >>> 0)) >>> 0;
  return c;
}

function jhash1Word$(a, seed) {
  let a_2 = 0, b = 0, c = 0;
  const t5 = (((seed + 3735928559) >>> 0) + 4) >>> 0;
  a_2 = (a + t5) >>> 0;
  b = t5;
  c = t5;
  c = (c ^ b) >>> 0;
  const t15 = b;
  c = (c - ((((t15 << 14) >>> 0) | (t15 >>> 18)) >>> 0)) >>> 0;
  a_2 = (a_2 ^ c) >>> 0;
  const t28 = c;
  a_2 = (a_2 - ((((t28 << 11) >>> 0) | (t28 >>> 21)) >>> 0)) >>> 0;
  b = (b ^ a_2) >>> 0;
  const t41 = a_2;
  b = (b - ((((t41 << 25) >>> 0) | (t41 >>> 7)) >>> 0)) >>> 0;
  c = (c ^ b) >>> 0;
  const t54 = b;
  c = (c - ((((t54 << 16) >>> 0) | (t54 >>> 16)) >>> 0)) >>> 0;
  a_2 = (a_2 ^ c) >>> 0;
  const t67 = c;
  a_2 = (a_2 - ((((t67 << 4) >>> 0) | (t67 >>> 28)) >>> 0)) >>> 0;
  b = (b ^ a_2) >>> 0;
  const t80 = a_2;
  b = (b - ((((t80 << 14) >>> 0) | (t80 >>> 18)) >>> 0)) >>> 0;
  c = (c ^ b) >>> 0;
  const t93 = b;
  c = (c - ((((t93 << 24) >>> 0) | (t93 >>> 8)) >>> 0)) >>> 0;
  return c;
}

function jhashWords$(words, wordsLength, seed) {
  let a = 0, b = 0, c = 0, filled = 0, left = 0, index = 0, t22, value = 0, a_2 = 0, b_2 = 0, c_2 = 0;
  const t7 = (((3735928559 + ((wordsLength << 2) >>> 0)) >>> 0) + seed) >>> 0;
  a = t7;
  b = t7;
  c = t7;
  filled = 0;
  left = wordsLength;
  index = 0;
  b2: for (;;) {
    if (index < wordsLength) {
      t22 = memory.getUint32(words + Number(u64(BigInt(index) * 4n)), true);
      if (filled === 3) {
        a = (a - c) >>> 0;
        const t30 = c;
        a = (a ^ ((((t30 << 4) >>> 0) | (t30 >>> 28)) >>> 0)) >>> 0;
        c = (c + b) >>> 0;
        b = (b - a) >>> 0;
        const t47 = a;
        b = (b ^ ((((t47 << 6) >>> 0) | (t47 >>> 26)) >>> 0)) >>> 0;
        a = (a + c) >>> 0;
        c = (c - b) >>> 0;
        const t64 = b;
        c = (c ^ ((((t64 << 8) >>> 0) | (t64 >>> 24)) >>> 0)) >>> 0;
        b = (b + a) >>> 0;
        a = (a - c) >>> 0;
        const t81 = c;
        a = (a ^ ((((t81 << 16) >>> 0) | (t81 >>> 16)) >>> 0)) >>> 0;
        c = (c + b) >>> 0;
        b = (b - a) >>> 0;
        const t98 = a;
        b = (b ^ ((((t98 << 19) >>> 0) | (t98 >>> 13)) >>> 0)) >>> 0;
        a = (a + c) >>> 0;
        c = (c - b) >>> 0;
        const t115 = b;
        c = (c ^ ((((t115 << 4) >>> 0) | (t115 >>> 28)) >>> 0)) >>> 0;
        b = (b + a) >>> 0;
        filled = 0;
      }
      if (filled === 0) {
        a = (a + t22) >>> 0;
      } else {
        if (filled === 1) {
          b = (b + t22) >>> 0;
        } else {
          c = (c + t22) >>> 0;
        }
      }
      filled = (filled + 1) >>> 0;
      left = (left - 1) >>> 0;
      index = (index + 1) >>> 0;
    } else {
      if (wordsLength === 0) {
        value = c;
      } else {
        a_2 = a;
        b_2 = b;
        c_2 = c;
        c_2 = (c_2 ^ b_2) >>> 0;
        const t167 = b_2;
        c_2 = (c_2 - ((((t167 << 14) >>> 0) | (t167 >>> 18)) >>> 0)) >>> 0;
        a_2 = (a_2 ^ c_2) >>> 0;
        const t180 = c_2;
        a_2 = (a_2 - ((((t180 << 11) >>> 0) | (t180 >>> 21)) >>> 0)) >>> 0;
        b_2 = (b_2 ^ a_2) >>> 0;
        const t193 = a_2;
        b_2 = (b_2 - ((((t193 << 25) >>> 0) | (t193 >>> 7)) >>> 0)) >>> 0;
        c_2 = (c_2 ^ b_2) >>> 0;
        const t206 = b_2;
        c_2 = (c_2 - ((((t206 << 16) >>> 0) | (t206 >>> 16)) >>> 0)) >>> 0;
        a_2 = (a_2 ^ c_2) >>> 0;
        const t219 = c_2;
        a_2 = (a_2 - ((((t219 << 4) >>> 0) | (t219 >>> 28)) >>> 0)) >>> 0;
        b_2 = (b_2 ^ a_2) >>> 0;
        const t232 = a_2;
        b_2 = (b_2 - ((((t232 << 14) >>> 0) | (t232 >>> 18)) >>> 0)) >>> 0;
        c_2 = (c_2 ^ b_2) >>> 0;
        const t245 = b_2;
        c_2 = (c_2 - ((((t245 << 24) >>> 0) | (t245 >>> 8)) >>> 0)) >>> 0;
        value = c_2;
      }
      return value;
    }
  }
}

function murmur3Words$(words, wordsLength, seed) {
  let hash = 0, index = 0;
  hash = seed;
  index = 0;
  b2: for (;;) {
    if (index < wordsLength) {
      const t15 = Math.imul(memory.getUint32(words + Number(u64(BigInt(index) * 4n)), true), 3432918353) >>> 0;
      const t23 = (hash ^ (Math.imul((((t15 << 15) >>> 0) | (t15 >>> 17)) >>> 0, 461845907) >>> 0)) >>> 0;
      hash = ((Math.imul((((t23 << 13) >>> 0) | (t23 >>> 19)) >>> 0, 5) >>> 0) + 3864292196) >>> 0;
      index = (index + 1) >>> 0;
    } else {
      hash = (hash ^ (Math.imul(wordsLength, 4) >>> 0)) >>> 0;
      hash = (hash ^ (hash >>> 16)) >>> 0;
      hash = Math.imul(hash, 2246822507) >>> 0;
      hash = (hash ^ (hash >>> 13)) >>> 0;
      hash = Math.imul(hash, 3266489909) >>> 0;
      hash = (hash ^ (hash >>> 16)) >>> 0;
      return hash;
    }
  }
}

function fnv1a32$(bytes_2, bytesLength) {
  let hash = 0, index = 0;
  hash = 2166136261;
  index = 0;
  b2: for (;;) {
    if (index < bytesLength) {
      hash = Math.imul((hash ^ memory.getUint8(bytes_2 + Number(BigInt(index)))) >>> 0, 16777619) >>> 0;
      index = (index + 1) >>> 0;
    } else {
      return hash;
    }
  }
}

function fnv1a64$(bytes_2, bytesLength) {
  let hash = 0n, index = 0;
  hash = 14695981039346656037n;
  index = 0;
  b2: for (;;) {
    if (index < bytesLength) {
      hash = u64((hash ^ BigInt(memory.getUint8(bytes_2 + Number(BigInt(index))))) * 1099511628211n);
      index = (index + 1) >>> 0;
    } else {
      return hash;
    }
  }
}

function sipHashWords$(words, wordsLength, key0, key1) {
  let v0 = 0n, v1 = 0n, v2 = 0n, v3 = 0n, index = 0;
  v0 = 8317987319222330741n ^ key0;
  v1 = 7237128888997146477n ^ key1;
  v2 = 7816392313619706465n ^ key0;
  v3 = 8387220255154660723n ^ key1;
  index = 0;
  b2: for (;;) {
    if (index < wordsLength) {
      const t24 = memory.getBigUint64(words + Number(u64(BigInt(index) * 8n)), true);
      v3 = v3 ^ t24;
      v0 = u64(v0 + v1);
      const t32 = v1;
      v1 = (u64(t32 << 13n) | (t32 >> 51n)) ^ v0;
      const t41 = v0;
      v0 = u64(t41 << 32n) | (t41 >> 32n);
      v2 = u64(v2 + v3);
      const t52 = v3;
      v3 = (u64(t52 << 16n) | (t52 >> 48n)) ^ v2;
      v0 = u64(v0 + v3);
      const t65 = v3;
      v3 = (u64(t65 << 21n) | (t65 >> 43n)) ^ v0;
      v2 = u64(v2 + v1);
      const t78 = v1;
      v1 = (u64(t78 << 17n) | (t78 >> 47n)) ^ v2;
      const t87 = v2;
      v2 = u64(t87 << 32n) | (t87 >> 32n);
      v0 = u64(v0 + v1);
      const t98 = v1;
      v1 = (u64(t98 << 13n) | (t98 >> 51n)) ^ v0;
      const t107 = v0;
      v0 = u64(t107 << 32n) | (t107 >> 32n);
      v2 = u64(v2 + v3);
      const t118 = v3;
      v3 = (u64(t118 << 16n) | (t118 >> 48n)) ^ v2;
      v0 = u64(v0 + v3);
      const t131 = v3;
      v3 = (u64(t131 << 21n) | (t131 >> 43n)) ^ v0;
      v2 = u64(v2 + v1);
      const t144 = v1;
      v1 = (u64(t144 << 17n) | (t144 >> 47n)) ^ v2;
      const t153 = v2;
      v2 = u64(t153 << 32n) | (t153 >> 32n);
      v0 = v0 ^ t24;
      index = (index + 1) >>> 0;
    } else {
      const t171 = u64(BigInt(Math.imul(wordsLength, 8) >>> 0) << 56n);
      v3 = v3 ^ t171;
      v0 = u64(v0 + v1);
      const t179 = v1;
      v1 = (u64(t179 << 13n) | (t179 >> 51n)) ^ v0;
      const t188 = v0;
      v0 = u64(t188 << 32n) | (t188 >> 32n);
      v2 = u64(v2 + v3);
      const t199 = v3;
      v3 = (u64(t199 << 16n) | (t199 >> 48n)) ^ v2;
      v0 = u64(v0 + v3);
      const t212 = v3;
      v3 = (u64(t212 << 21n) | (t212 >> 43n)) ^ v0;
      v2 = u64(v2 + v1);
      const t225 = v1;
      v1 = (u64(t225 << 17n) | (t225 >> 47n)) ^ v2;
      const t234 = v2;
      v2 = u64(t234 << 32n) | (t234 >> 32n);
      v0 = u64(v0 + v1);
      const t245 = v1;
      v1 = (u64(t245 << 13n) | (t245 >> 51n)) ^ v0;
      const t254 = v0;
      v0 = u64(t254 << 32n) | (t254 >> 32n);
      v2 = u64(v2 + v3);
      const t265 = v3;
      v3 = (u64(t265 << 16n) | (t265 >> 48n)) ^ v2;
      v0 = u64(v0 + v3);
      const t278 = v3;
      v3 = (u64(t278 << 21n) | (t278 >> 43n)) ^ v0;
      v2 = u64(v2 + v1);
      const t291 = v1;
      v1 = (u64(t291 << 17n) | (t291 >> 47n)) ^ v2;
      const t300 = v2;
      v2 = u64(t300 << 32n) | (t300 >> 32n);
      v0 = v0 ^ t171;
      v2 = v2 ^ 255n;
      v0 = u64(v0 + v1);
      const t318 = v1;
      v1 = (u64(t318 << 13n) | (t318 >> 51n)) ^ v0;
      const t327 = v0;
      v0 = u64(t327 << 32n) | (t327 >> 32n);
      v2 = u64(v2 + v3);
      const t338 = v3;
      v3 = (u64(t338 << 16n) | (t338 >> 48n)) ^ v2;
      v0 = u64(v0 + v3);
      const t351 = v3;
      v3 = (u64(t351 << 21n) | (t351 >> 43n)) ^ v0;
      v2 = u64(v2 + v1);
      const t364 = v1;
      v1 = (u64(t364 << 17n) | (t364 >> 47n)) ^ v2;
      const t373 = v2;
      v2 = u64(t373 << 32n) | (t373 >> 32n);
      v0 = u64(v0 + v1);
      const t384 = v1;
      v1 = (u64(t384 << 13n) | (t384 >> 51n)) ^ v0;
      const t393 = v0;
      v0 = u64(t393 << 32n) | (t393 >> 32n);
      v2 = u64(v2 + v3);
      const t404 = v3;
      v3 = (u64(t404 << 16n) | (t404 >> 48n)) ^ v2;
      v0 = u64(v0 + v3);
      const t417 = v3;
      v3 = (u64(t417 << 21n) | (t417 >> 43n)) ^ v0;
      v2 = u64(v2 + v1);
      const t430 = v1;
      v1 = (u64(t430 << 17n) | (t430 >> 47n)) ^ v2;
      const t439 = v2;
      v2 = u64(t439 << 32n) | (t439 >> 32n);
      v0 = u64(v0 + v1);
      const t450 = v1;
      v1 = (u64(t450 << 13n) | (t450 >> 51n)) ^ v0;
      const t459 = v0;
      v0 = u64(t459 << 32n) | (t459 >> 32n);
      v2 = u64(v2 + v3);
      const t470 = v3;
      v3 = (u64(t470 << 16n) | (t470 >> 48n)) ^ v2;
      v0 = u64(v0 + v3);
      const t483 = v3;
      v3 = (u64(t483 << 21n) | (t483 >> 43n)) ^ v0;
      v2 = u64(v2 + v1);
      const t496 = v1;
      v1 = (u64(t496 << 17n) | (t496 >> 47n)) ^ v2;
      const t505 = v2;
      v2 = u64(t505 << 32n) | (t505 >> 32n);
      v0 = u64(v0 + v1);
      const t516 = v1;
      v1 = (u64(t516 << 13n) | (t516 >> 51n)) ^ v0;
      const t525 = v0;
      v0 = u64(t525 << 32n) | (t525 >> 32n);
      v2 = u64(v2 + v3);
      const t536 = v3;
      v3 = (u64(t536 << 16n) | (t536 >> 48n)) ^ v2;
      v0 = u64(v0 + v3);
      const t549 = v3;
      v3 = (u64(t549 << 21n) | (t549 >> 43n)) ^ v0;
      v2 = u64(v2 + v1);
      const t562 = v1;
      v1 = (u64(t562 << 17n) | (t562 >> 47n)) ^ v2;
      const t571 = v2;
      v2 = u64(t571 << 32n) | (t571 >> 32n);
      return ((v0 ^ v1) ^ v2) ^ v3;
    }
  }
}

function crc32$(bytes_2, bytesLength) {
  let crc = 0, index = 0, t16, t25, t30, t39;
  crc = 4294967295;
  index = 0;
  b2: for (;;) {
    if (index < bytesLength) {
      crc = (crc ^ memory.getUint8(bytes_2 + Number(BigInt(index)))) >>> 0;
      t16 = crc >>> 4;
      t25 = memory.getUint32(8 + Number(u64(BigInt((crc & 15) >>> 0) * 4n)), true);
      crc = (t16 ^ t25) >>> 0;
      t30 = crc >>> 4;
      t39 = memory.getUint32(8 + Number(u64(BigInt((crc & 15) >>> 0) * 4n)), true);
      crc = (t30 ^ t39) >>> 0;
      index = (index + 1) >>> 0;
    } else {
      return (crc ^ 4294967295) >>> 0;
    }
  }
}

export function rotateLeft32(value, count) {
  return rotateLeft32$(value >>> 0, count >>> 0);
}

export function rotateLeft64(value, count) {
  return rotateLeft64$(BigInt.asUintN(64, value), BigInt.asUintN(64, count));
}

export function jhash3Words(a, b, c, seed) {
  return jhash3Words$(a >>> 0, b >>> 0, c >>> 0, seed >>> 0);
}

export function jhash2Words(a, b, seed) {
  return jhash2Words$(a >>> 0, b >>> 0, seed >>> 0);
}

export function jhash1Word(a, seed) {
  return jhash1Word$(a >>> 0, seed >>> 0);
}

export function jhashWords(words, seed) {
  const $start = top;
  const words$ = enter((4 * words.length + 7) & ~7);
  for (let $index = 0; $index < words.length; $index++) memory.setUint32(words$ + 4 * $index, words[$index], true);
  const $result = jhashWords$(words$, words.length, seed >>> 0);
  top = $start;
  return $result;
}

export function murmur3Words(words, seed) {
  const $start = top;
  const words$ = enter((4 * words.length + 7) & ~7);
  for (let $index = 0; $index < words.length; $index++) memory.setUint32(words$ + 4 * $index, words[$index], true);
  const $result = murmur3Words$(words$, words.length, seed >>> 0);
  top = $start;
  return $result;
}

export function fnv1a32(bytes_) {
  const $start = top;
  const bytes_$ = enter((1 * bytes_.length + 7) & ~7);
  for (let $index = 0; $index < bytes_.length; $index++) memory.setUint8(bytes_$ + 1 * $index, bytes_[$index]);
  const $result = fnv1a32$(bytes_$, bytes_.length);
  top = $start;
  return $result;
}

export function fnv1a64(bytes_) {
  const $start = top;
  const bytes_$ = enter((1 * bytes_.length + 7) & ~7);
  for (let $index = 0; $index < bytes_.length; $index++) memory.setUint8(bytes_$ + 1 * $index, bytes_[$index]);
  const $result = fnv1a64$(bytes_$, bytes_.length);
  top = $start;
  return $result;
}

export function sipHashWords(words, key0, key1) {
  const $start = top;
  const words$ = enter((8 * words.length + 7) & ~7);
  for (let $index = 0; $index < words.length; $index++) memory.setBigUint64(words$ + 8 * $index, words[$index], true);
  const $result = sipHashWords$(words$, words.length, BigInt.asUintN(64, key0), BigInt.asUintN(64, key1));
  top = $start;
  return $result;
}

export function crc32(bytes_) {
  const $start = top;
  const bytes_$ = enter((1 * bytes_.length + 7) & ~7);
  for (let $index = 0; $index < bytes_.length; $index++) memory.setUint8(bytes_$ + 1 * $index, bytes_[$index]);
  const $result = crc32$(bytes_$, bytes_.length);
  top = $start;
  return $result;
}
