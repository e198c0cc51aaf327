// The pure functions of @skep/bpf/stats, made by packages/compiler/scripts/embed-standard.ts of stats.bpf.ts; a test compares.
// @ts-nocheck -- JavaScript; ../stats.ts gives the functions their types
const u64 = (value) => BigInt.asUintN(64, value);

const low = (value) => Number(BigInt.asUintN(32, value));

const udiv64 = (a, b) => (b === 0n ? 0n : a / b);

let top = 8;

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


function log2$(value) {
  let rest = 0n, bit = 0, low_2 = 0;
  rest = value;
  bit = 0;
  if (rest >= 4294967296n) {
    rest = rest >> 32n;
    bit = (bit + 32) >>> 0;
  }
  low_2 = low(rest);
  if (low_2 >= 65536) {
    low_2 = low_2 >>> 16;
    bit = (bit + 16) >>> 0;
  }
  if (low_2 >= 256) {
    low_2 = low_2 >>> 8;
    bit = (bit + 8) >>> 0;
  }
  if (low_2 >= 16) {
    low_2 = low_2 >>> 4;
    bit = (bit + 4) >>> 0;
  }
  if (low_2 >= 4) {
    low_2 = low_2 >>> 2;
    bit = (bit + 2) >>> 0;
  }
  if (low_2 >= 2) {
    bit = (bit + 1) >>> 0;
  }
  return bit;
}

function linearSlot$(value, min, step, slots) {
  let t6, value_2 = 0;
  if (value < min) {
    return 0;
  } else {
    t6 = udiv64(u64(value - min), step);
    if (t6 >= BigInt(slots)) {
      value_2 = (slots + 1) >>> 0;
    } else {
      value_2 = (low(t6) + 1) >>> 0;
    }
    return value_2;
  }
}

function takeTokensAt$(bucket, limit, wanted, now) {
  let tokens = 0n, t7, t27, value = 0n, t13, value_2 = 0n;
  b5: {
    tokens = memory.getBigUint64(bucket + 8, true);
    t7 = u64(now - memory.getBigUint64(bucket, true));
    if (!(memory.getBigUint64(bucket, true) === 0n)) {
      if (!(t7 >= 1000000000n)) {
        t27 = u64(tokens + (u64(t7 * memory.getBigUint64(limit, true)) / 1000000000n));
        if (t27 === tokens) {
          if (tokens < wanted) {
            return 0;
          } else {
            memory.setBigUint64(bucket + 8, u64(tokens - wanted), true);
            return 1;
          }
        } else {
          if (t27 > memory.getBigUint64(limit + 8, true)) {
            value = memory.getBigUint64(limit + 8, true);
          } else {
            value = t27;
          }
          tokens = value;
          break b5;
        }
      }
    }
    b9: {
      t13 = u64(tokens + memory.getBigUint64(limit, true));
      if (!(memory.getBigUint64(bucket, true) === 0n)) {
        if (!(t13 > memory.getBigUint64(limit + 8, true))) {
          value_2 = t13;
          break b9;
        }
      }
      value_2 = memory.getBigUint64(limit + 8, true);
    }
    tokens = value_2;
  }
  memory.setBigUint64(bucket, now, true);
  if (tokens < wanted) {
    memory.setBigUint64(bucket + 8, tokens, true);
    return 0;
  } else {
    memory.setBigUint64(bucket + 8, u64(tokens - wanted), true);
    return 1;
  }
}

export function log2(value) {
  return log2$(BigInt.asUintN(64, value));
}

export function linearSlot(value, min, step, slots) {
  return linearSlot$(BigInt.asUintN(64, value), BigInt.asUintN(64, min), BigInt.asUintN(64, step), slots >>> 0);
}

export function takeTokensAt(bucket, limit, wanted, now) {
  const $start = top;
  const bucket$ = enter(16);
  zero(bucket$, 16);
  memory.setBigUint64(bucket$, bucket.time, true);
  memory.setBigUint64(bucket$ + 8, bucket.tokens, true);
  const limit$ = enter(16);
  zero(limit$, 16);
  memory.setBigUint64(limit$, limit.rate, true);
  memory.setBigUint64(limit$ + 8, limit.burst, true);
  const $result = takeTokensAt$(bucket$, limit$, BigInt.asUintN(64, wanted), BigInt.asUintN(64, now)) !== 0;
  bucket.time = memory.getBigUint64(bucket$, true);
  bucket.tokens = memory.getBigUint64(bucket$ + 8, true);
  limit.rate = memory.getBigUint64(limit$, true);
  limit.burst = memory.getBigUint64(limit$ + 8, true);
  top = $start;
  return $result;
}
