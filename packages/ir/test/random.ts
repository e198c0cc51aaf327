/** @module A small seeded generator (mulberry32), so that every failure can be repeated. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** 32 random bits. */
  bits(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  }

  /** 0 to `count` - 1. */
  below(count: number): number {
    return this.bits() % count;
  }

  chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }

  /** A value that is often near a border of some width. */
  value(): bigint {
    const wide = (BigInt(this.bits()) << 32n) | BigInt(this.bits());
    switch (this.below(8)) {
      case 0:
        return BigInt(this.below(16));
      case 1:
        return BigInt.asUintN(64, -BigInt(this.below(16)));
      case 2:
        return 1n << BigInt(this.below(64));
      case 3:
        return BigInt.asUintN(64, (1n << BigInt(this.below(64))) - 1n);
      case 4:
        return wide & 0xffffn;
      case 5:
        return wide & 0xffff_ffffn;
      default:
        return wide;
    }
  }
}
