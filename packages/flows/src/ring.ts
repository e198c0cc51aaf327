/** A place in a ring: counts what was ever pushed. */
export type Sequence = number;

export interface Timed {
  /** Nanoseconds since 1970. */
  readonly time: bigint;
}

/** As Cilium's default: 2^12 - 1. */
export const DEFAULT_CAPACITY = 4095;
export const MAX_CAPACITY = 65_535;

/** What a reader asks of a ring. */
export interface ReadableRing<T extends Timed> {
  readonly oldest: Sequence;
  readonly next: Sequence;
  at(sequence: Sequence): T | null;
  wait(sequence: Sequence, signal: AbortSignal): Promise<void>;
}

/** The last `capacity` entries. A reader that falls behind sees a gap in the sequence. */
export class Ring<T extends Timed> implements ReadableRing<T> {
  readonly capacity: number;
  /** Grows as it is first filled. */
  readonly #slots: (T | undefined)[] = [];
  #next: Sequence = 0;
  #waiting: (() => void)[] = [];

  constructor(capacity: number = DEFAULT_CAPACITY) {
    if (!Number.isInteger(capacity) || capacity < 1) throw new RangeError(`a ring of ${capacity} entries`);
    this.capacity = capacity;
  }

  push(entry: T): void {
    this.put(entry);
    this.wake();
  }

  /** As `push`, but whoever waits goes on waiting until `wake`. An entry that is absent is made by who overrides `at`. */
  protected put(entry: T | undefined): void {
    this.#slots[this.#next % this.capacity] = entry;
    this.#next += 1;
  }

  protected wake(): void {
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }

  /** Of the oldest entry that is still there. */
  get oldest(): Sequence {
    return Math.max(0, this.#next - this.capacity);
  }

  /** Of the entry that comes next. */
  get next(): Sequence {
    return this.#next;
  }

  get size(): number {
    return this.#next - this.oldest;
  }

  /** Null where it was overwritten or is not there yet. */
  at(sequence: Sequence): T | null {
    if (sequence < this.oldest || sequence >= this.#next) return null;
    return this.#slots[sequence % this.capacity] ?? null;
  }

  /** Resolves when there is an entry at `sequence`, or when `signal` ends the wait. */
  wait(sequence: Sequence, signal: AbortSignal): Promise<void> {
    if (sequence < this.#next || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = (): void => {
        signal.removeEventListener("abort", wake);
        resolve();
      };
      signal.addEventListener("abort", wake, { once: true });
      this.#waiting.push(wake);
    });
  }
}
