// The pure functions of @skep/bpf/hash, made by packages/compiler/scripts/embed-standard.ts of hash.bpf.ts; a test compares.
// @ts-nocheck -- JavaScript; ../hash.ts gives the functions their types
const u64 = (value) => BigInt.asUintN(64, value);

let top = 136;

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

bytes.set([0, 0, 0, 0, 100, 16, 183, 29, 200, 32, 110, 59, 172, 48, 217, 38, 144, 65, 220, 118, 244, 81, 107, 107, 88, 97, 178, 77, 60, 113, 5, 80, 32, 131, 184, 237, 68, 147, 15, 240, 232, 163, 214, 214, 140, 179, 97, 203, 176, 194, 100, 155, 212, 210, 211, 134, 120, 226, 10, 160, 28, 242, 189, 189, 0, 0, 0, 0, 111, 199, 94, 16, 222, 142, 189, 32, 177, 73, 227, 48, 188, 29, 123, 65, 211, 218, 37, 81, 98, 147, 198, 97, 13, 84, 152, 113, 120, 59, 246, 130, 23, 252, 168, 146, 166, 181, 75, 162, 201, 114, 21, 178, 196, 38, 141, 195, 171, 225, 211, 211, 26, 168, 48, 227, 117, 111, 110, 243], 8);

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
  let a = 0, b = 0, c = 0, filled = 0, isEmpty = 0, index = 0, t23, value = 0, a_2 = 0, b_2 = 0, c_2 = 0;
  const t7 = (((3735928559 + ((wordsLength << 2) >>> 0)) >>> 0) + seed) >>> 0;
  a = t7;
  b = t7;
  c = t7;
  filled = 0;
  isEmpty = 1;
  index = 0;
  b2: for (;;) {
    if (index < wordsLength) {
      t23 = memory.getUint32(words + Number(u64(BigInt(index) * 4n)), true);
      if (filled === 3) {
        a = (a - c) >>> 0;
        const t31 = c;
        a = (a ^ ((((t31 << 4) >>> 0) | (t31 >>> 28)) >>> 0)) >>> 0;
        c = (c + b) >>> 0;
        b = (b - a) >>> 0;
        const t48 = a;
        b = (b ^ ((((t48 << 6) >>> 0) | (t48 >>> 26)) >>> 0)) >>> 0;
        a = (a + c) >>> 0;
        c = (c - b) >>> 0;
        const t65 = b;
        c = (c ^ ((((t65 << 8) >>> 0) | (t65 >>> 24)) >>> 0)) >>> 0;
        b = (b + a) >>> 0;
        a = (a - c) >>> 0;
        const t82 = c;
        a = (a ^ ((((t82 << 16) >>> 0) | (t82 >>> 16)) >>> 0)) >>> 0;
        c = (c + b) >>> 0;
        b = (b - a) >>> 0;
        const t99 = a;
        b = (b ^ ((((t99 << 19) >>> 0) | (t99 >>> 13)) >>> 0)) >>> 0;
        a = (a + c) >>> 0;
        c = (c - b) >>> 0;
        const t116 = b;
        c = (c ^ ((((t116 << 4) >>> 0) | (t116 >>> 28)) >>> 0)) >>> 0;
        b = (b + a) >>> 0;
        filled = 0;
      }
      if (filled === 0) {
        a = (a + t23) >>> 0;
      } else {
        if (filled === 1) {
          b = (b + t23) >>> 0;
        } else {
          c = (c + t23) >>> 0;
        }
      }
      filled = (filled + 1) >>> 0;
      isEmpty = 0;
      index = (index + 1) >>> 0;
    } else {
      if (isEmpty !== 0) {
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

function jhash$(bytes_2, bytesLength, seed) {
  let a = 0, b = 0, c = 0, filled = 0, isEmpty = 0, word = 0, shift = 0, index = 0, t35, t169, value = 0, a_2 = 0, b_2 = 0, c_2 = 0;
  const t5 = (((3735928559 + bytesLength) >>> 0) + seed) >>> 0;
  a = t5;
  b = t5;
  c = t5;
  filled = 0;
  isEmpty = 1;
  word = 0;
  shift = 0;
  index = 0;
  b2: for (;;) {
    if (index < bytesLength) {
      word = (word | ((memory.getUint8(bytes_2 + Number(BigInt(index))) << shift) >>> 0)) >>> 0;
      shift = (shift + 8) >>> 0;
      if (shift === 32) {
        t35 = word;
        if (filled === 3) {
          a = (a - c) >>> 0;
          const t43 = c;
          a = (a ^ ((((t43 << 4) >>> 0) | (t43 >>> 28)) >>> 0)) >>> 0;
          c = (c + b) >>> 0;
          b = (b - a) >>> 0;
          const t60 = a;
          b = (b ^ ((((t60 << 6) >>> 0) | (t60 >>> 26)) >>> 0)) >>> 0;
          a = (a + c) >>> 0;
          c = (c - b) >>> 0;
          const t77 = b;
          c = (c ^ ((((t77 << 8) >>> 0) | (t77 >>> 24)) >>> 0)) >>> 0;
          b = (b + a) >>> 0;
          a = (a - c) >>> 0;
          const t94 = c;
          a = (a ^ ((((t94 << 16) >>> 0) | (t94 >>> 16)) >>> 0)) >>> 0;
          c = (c + b) >>> 0;
          b = (b - a) >>> 0;
          const t111 = a;
          b = (b ^ ((((t111 << 19) >>> 0) | (t111 >>> 13)) >>> 0)) >>> 0;
          a = (a + c) >>> 0;
          c = (c - b) >>> 0;
          const t128 = b;
          c = (c ^ ((((t128 << 4) >>> 0) | (t128 >>> 28)) >>> 0)) >>> 0;
          b = (b + a) >>> 0;
          filled = 0;
        }
        if (filled === 0) {
          a = (a + t35) >>> 0;
        } else {
          if (filled === 1) {
            b = (b + t35) >>> 0;
          } else {
            c = (c + t35) >>> 0;
          }
        }
        filled = (filled + 1) >>> 0;
        isEmpty = 0;
        word = 0;
        shift = 0;
      }
      index = (index + 1) >>> 0;
    } else {
      t169 = word;
      if ((bytesLength % 4) !== 0) {
        if (filled === 3) {
          a = (a - c) >>> 0;
          const t180 = c;
          a = (a ^ ((((t180 << 4) >>> 0) | (t180 >>> 28)) >>> 0)) >>> 0;
          c = (c + b) >>> 0;
          b = (b - a) >>> 0;
          const t197 = a;
          b = (b ^ ((((t197 << 6) >>> 0) | (t197 >>> 26)) >>> 0)) >>> 0;
          a = (a + c) >>> 0;
          c = (c - b) >>> 0;
          const t214 = b;
          c = (c ^ ((((t214 << 8) >>> 0) | (t214 >>> 24)) >>> 0)) >>> 0;
          b = (b + a) >>> 0;
          a = (a - c) >>> 0;
          const t231 = c;
          a = (a ^ ((((t231 << 16) >>> 0) | (t231 >>> 16)) >>> 0)) >>> 0;
          c = (c + b) >>> 0;
          b = (b - a) >>> 0;
          const t248 = a;
          b = (b ^ ((((t248 << 19) >>> 0) | (t248 >>> 13)) >>> 0)) >>> 0;
          a = (a + c) >>> 0;
          c = (c - b) >>> 0;
          const t265 = b;
          c = (c ^ ((((t265 << 4) >>> 0) | (t265 >>> 28)) >>> 0)) >>> 0;
          b = (b + a) >>> 0;
          filled = 0;
        }
        if (filled === 0) {
          a = (a + t169) >>> 0;
        } else {
          if (filled === 1) {
            b = (b + t169) >>> 0;
          } else {
            c = (c + t169) >>> 0;
          }
        }
        filled = (filled + 1) >>> 0;
        isEmpty = 0;
      }
      if (isEmpty !== 0) {
        value = c;
      } else {
        a_2 = a;
        b_2 = b;
        c_2 = c;
        c_2 = (c_2 ^ b_2) >>> 0;
        const t312 = b_2;
        c_2 = (c_2 - ((((t312 << 14) >>> 0) | (t312 >>> 18)) >>> 0)) >>> 0;
        a_2 = (a_2 ^ c_2) >>> 0;
        const t325 = c_2;
        a_2 = (a_2 - ((((t325 << 11) >>> 0) | (t325 >>> 21)) >>> 0)) >>> 0;
        b_2 = (b_2 ^ a_2) >>> 0;
        const t338 = a_2;
        b_2 = (b_2 - ((((t338 << 25) >>> 0) | (t338 >>> 7)) >>> 0)) >>> 0;
        c_2 = (c_2 ^ b_2) >>> 0;
        const t351 = b_2;
        c_2 = (c_2 - ((((t351 << 16) >>> 0) | (t351 >>> 16)) >>> 0)) >>> 0;
        a_2 = (a_2 ^ c_2) >>> 0;
        const t364 = c_2;
        a_2 = (a_2 - ((((t364 << 4) >>> 0) | (t364 >>> 28)) >>> 0)) >>> 0;
        b_2 = (b_2 ^ a_2) >>> 0;
        const t377 = a_2;
        b_2 = (b_2 - ((((t377 << 14) >>> 0) | (t377 >>> 18)) >>> 0)) >>> 0;
        c_2 = (c_2 ^ b_2) >>> 0;
        const t390 = b_2;
        c_2 = (c_2 - ((((t390 << 24) >>> 0) | (t390 >>> 8)) >>> 0)) >>> 0;
        value = c_2;
      }
      return value;
    }
  }
}

function murmur3Words$(words, wordsLength, seed) {
  let hash = 0, index = 0, hash_2 = 0;
  hash = seed;
  index = 0;
  b2: for (;;) {
    if (index < wordsLength) {
      const t15 = Math.imul(memory.getUint32(words + Number(u64(BigInt(index) * 4n)), true), 3432918353) >>> 0;
      const t23 = (hash ^ (Math.imul((((t15 << 15) >>> 0) | (t15 >>> 17)) >>> 0, 461845907) >>> 0)) >>> 0;
      hash = ((Math.imul((((t23 << 13) >>> 0) | (t23 >>> 19)) >>> 0, 5) >>> 0) + 3864292196) >>> 0;
      index = (index + 1) >>> 0;
    } else {
      hash_2 = (hash ^ (Math.imul(wordsLength, 4) >>> 0)) >>> 0;
      hash_2 = (hash_2 ^ (hash_2 >>> 16)) >>> 0;
      hash_2 = Math.imul(hash_2, 2246822507) >>> 0;
      hash_2 = (hash_2 ^ (hash_2 >>> 13)) >>> 0;
      hash_2 = Math.imul(hash_2, 3266489909) >>> 0;
      hash_2 = (hash_2 ^ (hash_2 >>> 16)) >>> 0;
      return hash_2;
    }
  }
}

function murmur3$(bytes_2, bytesLength, seed) {
  let hash = 0, word = 0, shift = 0, index = 0, hash_2 = 0;
  hash = seed;
  word = 0;
  shift = 0;
  index = 0;
  b2: for (;;) {
    if (index < bytesLength) {
      word = (word | ((memory.getUint8(bytes_2 + Number(BigInt(index))) << shift) >>> 0)) >>> 0;
      shift = (shift + 8) >>> 0;
      if (shift === 32) {
        const t29 = Math.imul(word, 3432918353) >>> 0;
        const t37 = (hash ^ (Math.imul((((t29 << 15) >>> 0) | (t29 >>> 17)) >>> 0, 461845907) >>> 0)) >>> 0;
        hash = ((Math.imul((((t37 << 13) >>> 0) | (t37 >>> 19)) >>> 0, 5) >>> 0) + 3864292196) >>> 0;
        word = 0;
        shift = 0;
      }
      index = (index + 1) >>> 0;
    } else {
      const t59 = Math.imul(word, 3432918353) >>> 0;
      hash = (hash ^ (Math.imul((((t59 << 15) >>> 0) | (t59 >>> 17)) >>> 0, 461845907) >>> 0)) >>> 0;
      hash_2 = (hash ^ bytesLength) >>> 0;
      hash_2 = (hash_2 ^ (hash_2 >>> 16)) >>> 0;
      hash_2 = Math.imul(hash_2, 2246822507) >>> 0;
      hash_2 = (hash_2 ^ (hash_2 >>> 13)) >>> 0;
      hash_2 = Math.imul(hash_2, 3266489909) >>> 0;
      hash_2 = (hash_2 ^ (hash_2 >>> 16)) >>> 0;
      return hash_2;
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
  let t6, v0 = 0n, v1 = 0n, v2 = 0n, v3 = 0n, index = 0;
  t6 = BigInt(Math.imul(wordsLength, 8) >>> 0);
  v0 = 8317987319222330741n ^ key0;
  v1 = 7237128888997146477n ^ key1;
  v2 = 7816392313619706465n ^ key0;
  v3 = 8387220255154660723n ^ key1;
  index = 0;
  b2: for (;;) {
    if (index < wordsLength) {
      const t27 = memory.getBigUint64(words + Number(u64(BigInt(index) * 8n)), true);
      v3 = v3 ^ t27;
      v0 = u64(v0 + v1);
      const t35 = v1;
      v1 = (u64(t35 << 13n) | (t35 >> 51n)) ^ v0;
      const t44 = v0;
      v0 = u64(t44 << 32n) | (t44 >> 32n);
      v2 = u64(v2 + v3);
      const t55 = v3;
      v3 = (u64(t55 << 16n) | (t55 >> 48n)) ^ v2;
      v0 = u64(v0 + v3);
      const t68 = v3;
      v3 = (u64(t68 << 21n) | (t68 >> 43n)) ^ v0;
      v2 = u64(v2 + v1);
      const t81 = v1;
      v1 = (u64(t81 << 17n) | (t81 >> 47n)) ^ v2;
      const t90 = v2;
      v2 = u64(t90 << 32n) | (t90 >> 32n);
      v0 = u64(v0 + v1);
      const t101 = v1;
      v1 = (u64(t101 << 13n) | (t101 >> 51n)) ^ v0;
      const t110 = v0;
      v0 = u64(t110 << 32n) | (t110 >> 32n);
      v2 = u64(v2 + v3);
      const t121 = v3;
      v3 = (u64(t121 << 16n) | (t121 >> 48n)) ^ v2;
      v0 = u64(v0 + v3);
      const t134 = v3;
      v3 = (u64(t134 << 21n) | (t134 >> 43n)) ^ v0;
      v2 = u64(v2 + v1);
      const t147 = v1;
      v1 = (u64(t147 << 17n) | (t147 >> 47n)) ^ v2;
      const t156 = v2;
      v2 = u64(t156 << 32n) | (t156 >> 32n);
      v0 = v0 ^ t27;
      index = (index + 1) >>> 0;
    } else {
      const t173 = 0n | u64(t6 << 56n);
      v3 = v3 ^ t173;
      v0 = u64(v0 + v1);
      const t181 = v1;
      v1 = (u64(t181 << 13n) | (t181 >> 51n)) ^ v0;
      const t190 = v0;
      v0 = u64(t190 << 32n) | (t190 >> 32n);
      v2 = u64(v2 + v3);
      const t201 = v3;
      v3 = (u64(t201 << 16n) | (t201 >> 48n)) ^ v2;
      v0 = u64(v0 + v3);
      const t214 = v3;
      v3 = (u64(t214 << 21n) | (t214 >> 43n)) ^ v0;
      v2 = u64(v2 + v1);
      const t227 = v1;
      v1 = (u64(t227 << 17n) | (t227 >> 47n)) ^ v2;
      const t236 = v2;
      v2 = u64(t236 << 32n) | (t236 >> 32n);
      v0 = u64(v0 + v1);
      const t247 = v1;
      v1 = (u64(t247 << 13n) | (t247 >> 51n)) ^ v0;
      const t256 = v0;
      v0 = u64(t256 << 32n) | (t256 >> 32n);
      v2 = u64(v2 + v3);
      const t267 = v3;
      v3 = (u64(t267 << 16n) | (t267 >> 48n)) ^ v2;
      v0 = u64(v0 + v3);
      const t280 = v3;
      v3 = (u64(t280 << 21n) | (t280 >> 43n)) ^ v0;
      v2 = u64(v2 + v1);
      const t293 = v1;
      v1 = (u64(t293 << 17n) | (t293 >> 47n)) ^ v2;
      const t302 = v2;
      v2 = u64(t302 << 32n) | (t302 >> 32n);
      v0 = v0 ^ t173;
      v2 = v2 ^ 255n;
      v0 = u64(v0 + v1);
      const t320 = v1;
      v1 = (u64(t320 << 13n) | (t320 >> 51n)) ^ v0;
      const t329 = v0;
      v0 = u64(t329 << 32n) | (t329 >> 32n);
      v2 = u64(v2 + v3);
      const t340 = v3;
      v3 = (u64(t340 << 16n) | (t340 >> 48n)) ^ v2;
      v0 = u64(v0 + v3);
      const t353 = v3;
      v3 = (u64(t353 << 21n) | (t353 >> 43n)) ^ v0;
      v2 = u64(v2 + v1);
      const t366 = v1;
      v1 = (u64(t366 << 17n) | (t366 >> 47n)) ^ v2;
      const t375 = v2;
      v2 = u64(t375 << 32n) | (t375 >> 32n);
      v0 = u64(v0 + v1);
      const t386 = v1;
      v1 = (u64(t386 << 13n) | (t386 >> 51n)) ^ v0;
      const t395 = v0;
      v0 = u64(t395 << 32n) | (t395 >> 32n);
      v2 = u64(v2 + v3);
      const t406 = v3;
      v3 = (u64(t406 << 16n) | (t406 >> 48n)) ^ v2;
      v0 = u64(v0 + v3);
      const t419 = v3;
      v3 = (u64(t419 << 21n) | (t419 >> 43n)) ^ v0;
      v2 = u64(v2 + v1);
      const t432 = v1;
      v1 = (u64(t432 << 17n) | (t432 >> 47n)) ^ v2;
      const t441 = v2;
      v2 = u64(t441 << 32n) | (t441 >> 32n);
      v0 = u64(v0 + v1);
      const t452 = v1;
      v1 = (u64(t452 << 13n) | (t452 >> 51n)) ^ v0;
      const t461 = v0;
      v0 = u64(t461 << 32n) | (t461 >> 32n);
      v2 = u64(v2 + v3);
      const t472 = v3;
      v3 = (u64(t472 << 16n) | (t472 >> 48n)) ^ v2;
      v0 = u64(v0 + v3);
      const t485 = v3;
      v3 = (u64(t485 << 21n) | (t485 >> 43n)) ^ v0;
      v2 = u64(v2 + v1);
      const t498 = v1;
      v1 = (u64(t498 << 17n) | (t498 >> 47n)) ^ v2;
      const t507 = v2;
      v2 = u64(t507 << 32n) | (t507 >> 32n);
      v0 = u64(v0 + v1);
      const t518 = v1;
      v1 = (u64(t518 << 13n) | (t518 >> 51n)) ^ v0;
      const t527 = v0;
      v0 = u64(t527 << 32n) | (t527 >> 32n);
      v2 = u64(v2 + v3);
      const t538 = v3;
      v3 = (u64(t538 << 16n) | (t538 >> 48n)) ^ v2;
      v0 = u64(v0 + v3);
      const t551 = v3;
      v3 = (u64(t551 << 21n) | (t551 >> 43n)) ^ v0;
      v2 = u64(v2 + v1);
      const t564 = v1;
      v1 = (u64(t564 << 17n) | (t564 >> 47n)) ^ v2;
      const t573 = v2;
      v2 = u64(t573 << 32n) | (t573 >> 32n);
      return ((v0 ^ v1) ^ v2) ^ v3;
    }
  }
}

function sipHash$(bytes_2, bytesLength, key0, key1) {
  let t4, v0 = 0n, v1 = 0n, v2 = 0n, v3 = 0n, word = 0n, shift = 0n, index = 0;
  t4 = BigInt(bytesLength);
  v0 = 8317987319222330741n ^ key0;
  v1 = 7237128888997146477n ^ key1;
  v2 = 7816392313619706465n ^ key0;
  v3 = 8387220255154660723n ^ key1;
  word = 0n;
  shift = 0n;
  index = 0;
  b2: for (;;) {
    if (index < bytesLength) {
      word = word | u64(BigInt(memory.getUint8(bytes_2 + Number(BigInt(index)))) << (shift & 63n));
      shift = u64(shift + 8n);
      if (shift === 64n) {
        const t40 = word;
        v3 = v3 ^ t40;
        v0 = u64(v0 + v1);
        const t48 = v1;
        v1 = (u64(t48 << 13n) | (t48 >> 51n)) ^ v0;
        const t57 = v0;
        v0 = u64(t57 << 32n) | (t57 >> 32n);
        v2 = u64(v2 + v3);
        const t68 = v3;
        v3 = (u64(t68 << 16n) | (t68 >> 48n)) ^ v2;
        v0 = u64(v0 + v3);
        const t81 = v3;
        v3 = (u64(t81 << 21n) | (t81 >> 43n)) ^ v0;
        v2 = u64(v2 + v1);
        const t94 = v1;
        v1 = (u64(t94 << 17n) | (t94 >> 47n)) ^ v2;
        const t103 = v2;
        v2 = u64(t103 << 32n) | (t103 >> 32n);
        v0 = u64(v0 + v1);
        const t114 = v1;
        v1 = (u64(t114 << 13n) | (t114 >> 51n)) ^ v0;
        const t123 = v0;
        v0 = u64(t123 << 32n) | (t123 >> 32n);
        v2 = u64(v2 + v3);
        const t134 = v3;
        v3 = (u64(t134 << 16n) | (t134 >> 48n)) ^ v2;
        v0 = u64(v0 + v3);
        const t147 = v3;
        v3 = (u64(t147 << 21n) | (t147 >> 43n)) ^ v0;
        v2 = u64(v2 + v1);
        const t160 = v1;
        v1 = (u64(t160 << 17n) | (t160 >> 47n)) ^ v2;
        const t169 = v2;
        v2 = u64(t169 << 32n) | (t169 >> 32n);
        v0 = v0 ^ t40;
        word = 0n;
        shift = 0n;
      }
      index = (index + 1) >>> 0;
    } else {
      const t190 = word | u64(t4 << 56n);
      v3 = v3 ^ t190;
      v0 = u64(v0 + v1);
      const t198 = v1;
      v1 = (u64(t198 << 13n) | (t198 >> 51n)) ^ v0;
      const t207 = v0;
      v0 = u64(t207 << 32n) | (t207 >> 32n);
      v2 = u64(v2 + v3);
      const t218 = v3;
      v3 = (u64(t218 << 16n) | (t218 >> 48n)) ^ v2;
      v0 = u64(v0 + v3);
      const t231 = v3;
      v3 = (u64(t231 << 21n) | (t231 >> 43n)) ^ v0;
      v2 = u64(v2 + v1);
      const t244 = v1;
      v1 = (u64(t244 << 17n) | (t244 >> 47n)) ^ v2;
      const t253 = v2;
      v2 = u64(t253 << 32n) | (t253 >> 32n);
      v0 = u64(v0 + v1);
      const t264 = v1;
      v1 = (u64(t264 << 13n) | (t264 >> 51n)) ^ v0;
      const t273 = v0;
      v0 = u64(t273 << 32n) | (t273 >> 32n);
      v2 = u64(v2 + v3);
      const t284 = v3;
      v3 = (u64(t284 << 16n) | (t284 >> 48n)) ^ v2;
      v0 = u64(v0 + v3);
      const t297 = v3;
      v3 = (u64(t297 << 21n) | (t297 >> 43n)) ^ v0;
      v2 = u64(v2 + v1);
      const t310 = v1;
      v1 = (u64(t310 << 17n) | (t310 >> 47n)) ^ v2;
      const t319 = v2;
      v2 = u64(t319 << 32n) | (t319 >> 32n);
      v0 = v0 ^ t190;
      v2 = v2 ^ 255n;
      v0 = u64(v0 + v1);
      const t337 = v1;
      v1 = (u64(t337 << 13n) | (t337 >> 51n)) ^ v0;
      const t346 = v0;
      v0 = u64(t346 << 32n) | (t346 >> 32n);
      v2 = u64(v2 + v3);
      const t357 = v3;
      v3 = (u64(t357 << 16n) | (t357 >> 48n)) ^ v2;
      v0 = u64(v0 + v3);
      const t370 = v3;
      v3 = (u64(t370 << 21n) | (t370 >> 43n)) ^ v0;
      v2 = u64(v2 + v1);
      const t383 = v1;
      v1 = (u64(t383 << 17n) | (t383 >> 47n)) ^ v2;
      const t392 = v2;
      v2 = u64(t392 << 32n) | (t392 >> 32n);
      v0 = u64(v0 + v1);
      const t403 = v1;
      v1 = (u64(t403 << 13n) | (t403 >> 51n)) ^ v0;
      const t412 = v0;
      v0 = u64(t412 << 32n) | (t412 >> 32n);
      v2 = u64(v2 + v3);
      const t423 = v3;
      v3 = (u64(t423 << 16n) | (t423 >> 48n)) ^ v2;
      v0 = u64(v0 + v3);
      const t436 = v3;
      v3 = (u64(t436 << 21n) | (t436 >> 43n)) ^ v0;
      v2 = u64(v2 + v1);
      const t449 = v1;
      v1 = (u64(t449 << 17n) | (t449 >> 47n)) ^ v2;
      const t458 = v2;
      v2 = u64(t458 << 32n) | (t458 >> 32n);
      v0 = u64(v0 + v1);
      const t469 = v1;
      v1 = (u64(t469 << 13n) | (t469 >> 51n)) ^ v0;
      const t478 = v0;
      v0 = u64(t478 << 32n) | (t478 >> 32n);
      v2 = u64(v2 + v3);
      const t489 = v3;
      v3 = (u64(t489 << 16n) | (t489 >> 48n)) ^ v2;
      v0 = u64(v0 + v3);
      const t502 = v3;
      v3 = (u64(t502 << 21n) | (t502 >> 43n)) ^ v0;
      v2 = u64(v2 + v1);
      const t515 = v1;
      v1 = (u64(t515 << 17n) | (t515 >> 47n)) ^ v2;
      const t524 = v2;
      v2 = u64(t524 << 32n) | (t524 >> 32n);
      v0 = u64(v0 + v1);
      const t535 = v1;
      v1 = (u64(t535 << 13n) | (t535 >> 51n)) ^ v0;
      const t544 = v0;
      v0 = u64(t544 << 32n) | (t544 >> 32n);
      v2 = u64(v2 + v3);
      const t555 = v3;
      v3 = (u64(t555 << 16n) | (t555 >> 48n)) ^ v2;
      v0 = u64(v0 + v3);
      const t568 = v3;
      v3 = (u64(t568 << 21n) | (t568 >> 43n)) ^ v0;
      v2 = u64(v2 + v1);
      const t581 = v1;
      v1 = (u64(t581 << 17n) | (t581 >> 47n)) ^ v2;
      const t590 = v2;
      v2 = u64(t590 << 32n) | (t590 >> 32n);
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

function crc32c$(bytes_2, bytesLength) {
  let crc = 0, index = 0, t16, t25, t30, t39;
  crc = 4294967295;
  index = 0;
  b2: for (;;) {
    if (index < bytesLength) {
      crc = (crc ^ memory.getUint8(bytes_2 + Number(BigInt(index)))) >>> 0;
      t16 = crc >>> 4;
      t25 = memory.getUint32(72 + Number(u64(BigInt((crc & 15) >>> 0) * 4n)), true);
      crc = (t16 ^ t25) >>> 0;
      t30 = crc >>> 4;
      t39 = memory.getUint32(72 + Number(u64(BigInt((crc & 15) >>> 0) * 4n)), true);
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

export function jhash(bytes_, seed) {
  const $start = top;
  const bytes_$ = enter((1 * bytes_.length + 7) & ~7);
  for (let $index = 0; $index < bytes_.length; $index++) memory.setUint8(bytes_$ + 1 * $index, bytes_[$index]);
  const $result = jhash$(bytes_$, bytes_.length, seed >>> 0);
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

export function murmur3(bytes_, seed) {
  const $start = top;
  const bytes_$ = enter((1 * bytes_.length + 7) & ~7);
  for (let $index = 0; $index < bytes_.length; $index++) memory.setUint8(bytes_$ + 1 * $index, bytes_[$index]);
  const $result = murmur3$(bytes_$, bytes_.length, seed >>> 0);
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

export function sipHash(bytes_, key0, key1) {
  const $start = top;
  const bytes_$ = enter((1 * bytes_.length + 7) & ~7);
  for (let $index = 0; $index < bytes_.length; $index++) memory.setUint8(bytes_$ + 1 * $index, bytes_[$index]);
  const $result = sipHash$(bytes_$, bytes_.length, BigInt.asUintN(64, key0), BigInt.asUintN(64, key1));
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

export function crc32c(bytes_) {
  const $start = top;
  const bytes_$ = enter((1 * bytes_.length + 7) & ~7);
  for (let $index = 0; $index < bytes_.length; $index++) memory.setUint8(bytes_$ + 1 * $index, bytes_[$index]);
  const $result = crc32c$(bytes_$, bytes_.length);
  top = $start;
  return $result;
}
