/** Both clocks of a machine, as the interface `Clock` of the machine has them. */
export interface Clocks {
  /** Milliseconds since 1970. */
  now(): number;
  /** Nanoseconds of CLOCK_MONOTONIC. */
  monotonic(): bigint;
}

/**
 * Turns CLOCK_MONOTONIC into wall time. The offset is measured anew when it is older than `maxAge` nanoseconds, so that a step of
 * the wall clock shows within that time, and flows read between two steps keep their order.
 */
export function wallClock(clocks: Clocks, maxAge = 10_000_000_000n): (monotonic: bigint) => bigint {
  let offset = 0n;
  let measuredAt: bigint | null = null;
  return (monotonic) => {
    if (measuredAt === null || monotonic - measuredAt > maxAge) {
      const now = clocks.monotonic();
      offset = BigInt(Math.round(clocks.now() * 1_000_000)) - now;
      measuredAt = now > monotonic ? now : monotonic;
    }
    return monotonic + offset;
  };
}

const hex = (value: bigint, digits: number): string => value.toString(16).padStart(digits, "0");

/**
 * Version 4 in form (RFC 9562): `seed` gives 74 random bits, and a number of 48 bits makes them differ: the one that is given, or the next of a
 * counter of its own, which counts down from the top.
 */
export function uuids(seed: () => bigint): (sequence?: number) => string {
  const random = seed();
  const high = hex(random & 0xffffffffn, 8);
  const variant = hex(((random >> 32n) & 0x3fffn) | 0x8000n, 4);
  const middle = hex((random >> 46n) & 0xffffn, 4);
  const version = hex(((random >> 62n) & 0xfffn) | 0x4000n, 4);
  const prefix = `${high}-${middle}-${version}-${variant}-`;
  let count = 2 ** 48;
  return (sequence) => prefix + (sequence ?? --count).toString(16).padStart(12, "0");
}
