// Histograms and rates.
import { ktimeGetNs, struct, u32, u64, type Of } from "@skep/bpf";

/** The place of the highest bit that is set, from 0; 0 for 0. */
export function log2(value: u64): u32 {
  let rest: u64 = value;
  let bit: u32 = 0;
  if (rest >= 0x1_0000_0000n) {
    rest >>= 32n;
    bit += 32;
  }
  let low: u32 = u32(rest);
  if (low >= 0x10000) {
    low >>= 16;
    bit += 16;
  }
  if (low >= 0x100) {
    low >>= 8;
    bit += 8;
  }
  if (low >= 0x10) {
    low >>= 4;
    bit += 4;
  }
  if (low >= 4) {
    low >>= 2;
    bit += 2;
  }
  if (low >= 2) bit += 1;
  return bit;
}

/** Slot of a linear histogram: below `min` 0, above `max` the last of `slots` + 2. */
export function linearSlot(value: u64, min: u64, step: u64, slots: u32): u32 {
  if (value < min) return 0;
  const slot: u64 = (value - min) / step;
  return slot >= u64(slots) ? slots + 1 : u32(slot) + 1;
}

/** Tokens as they were at `time` (CLOCK_MONOTONIC). */
export const TokenBucket = struct("TokenBucket", { time: u64, tokens: u64 });
export type TokenBucket = Of<typeof TokenBucket>;

/** `rate`: tokens per second. `burst`: the most that the bucket holds. */
export const Rate = struct("Rate", { rate: u64, burst: u64 });
export type Rate = Of<typeof Rate>;

const SECOND = 1_000_000_000n;

/**
 * Takes `wanted` tokens at time `now`; false where there are not so many. Two CPUs that take at once may both get what is there: the limit
 * is exact on the average.
 */
export function takeTokensAt(bucket: TokenBucket, limit: Rate, wanted: u64, now: u64): boolean {
  let tokens: u64 = bucket.tokens;
  const passed: u64 = now - bucket.time;
  // No more than a second at once, so that the product fits.
  if (bucket.time === 0n || passed >= SECOND) {
    const filled: u64 = tokens + limit.rate;
    tokens = bucket.time === 0n || filled > limit.burst ? limit.burst : filled;
  } else {
    const filled: u64 = tokens + (passed * limit.rate) / SECOND;
    // Time that has made no token yet counts on.
    if (filled === tokens) {
      if (tokens < wanted) return false;
      bucket.tokens = tokens - wanted;
      return true;
    }
    tokens = filled > limit.burst ? limit.burst : filled;
  }
  bucket.time = now;
  if (tokens < wanted) {
    bucket.tokens = tokens;
    return false;
  }
  bucket.tokens = tokens - wanted;
  return true;
}

export function takeTokens(bucket: TokenBucket, limit: Rate, wanted: u64): boolean {
  return takeTokensAt(bucket, limit, wanted, ktimeGetNs());
}
