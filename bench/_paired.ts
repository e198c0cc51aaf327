// Figures of kinds that took turns: each round measures every kind once, so that what the machine does besides meets all of them.
import { median } from "./_lines.ts";

/** A median and the interval that holds it with 95 %. */
export interface Estimate {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** Ranks of a binomial median's interval (normal approximation). Throws where there is nothing. */
export function estimate(values: readonly number[]): Estimate {
  if (values.length === 0) throw new Error("nothing was measured");
  const sorted = [...values].sort((a, b) => a - b);
  const [half, reach] = [(sorted.length - 1) / 2, 0.98 * Math.sqrt(sorted.length)];
  const at = (rank: number): number => sorted[Math.min(Math.max(rank, 0), sorted.length - 1)] ?? Number.NaN;
  return { value: median(sorted), low: at(Math.floor(half - reach)), high: at(Math.ceil(half + reach)) };
}

/** Rounds by kind: the value at one place is of one round. */
export class Rounds {
  readonly #values = new Map<string, number[]>();

  add(kind: string, value: number): void {
    const values = this.#values.get(kind);
    if (values) values.push(value);
    else this.#values.set(kind, [value]);
  }

  has(kind: string): boolean {
    return this.#values.has(kind);
  }

  of(kind: string): readonly number[] {
    const values = this.#values.get(kind);
    if (!values) throw new Error(`nothing was measured as "${kind}"`);
    return values;
  }

  median(kind: string): number {
    return median(this.of(kind));
  }

  /** Of the two kinds' ratios in each round. */
  ratio(kind: string, peer: string): Estimate {
    const [ours, theirs] = [this.of(kind), this.of(peer)];
    if (ours.length !== theirs.length) throw new Error(`"${kind}" and "${peer}" were not measured in the same rounds`);
    return estimate(ours.map((value, at) => value / (theirs[at] ?? Number.NaN)));
  }
}

/** `values` in another order each time; `next` gives numbers from 0 to 1. */
export function shuffled<T>(values: readonly T[], next: () => number): T[] {
  const all = [...values];
  for (let at = all.length - 1; at > 0; at--) {
    const other = Math.floor(next() * (at + 1));
    [all[at], all[other]] = [all[other] as T, all[at] as T];
  }
  return all;
}
