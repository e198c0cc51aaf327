import { setImmediate as nextTurn } from "node:timers/promises";
import type { ReadableRing, Sequence, Timed } from "./ring.ts";

/** Which entries of a ring a request wants. Times in nanoseconds since 1970. */
export interface Selection<T> {
  /** 0: all. */
  readonly number: number;
  /** Count from the oldest. */
  readonly first: boolean;
  readonly follow: boolean;
  readonly since: bigint | null;
  readonly until: bigint | null;
  readonly matches: (entry: T) => boolean;
  /** False for entries that `number` does not count. */
  readonly counts: (entry: T) => boolean;
}

/** A reader that was too slow: `count` entries were overwritten before it came to them. */
export interface Gap {
  readonly lost: number;
}

/** Entries that a reader looks at in a row. */
const IN_TURN = 512;

/** Where reading begins. `--last N` walks back over what matches. */
function startOf<T extends Timed>(ring: ReadableRing<T>, selection: Selection<T>): Sequence {
  if (selection.first || (selection.since !== null && selection.number === 0)) return ring.oldest;
  if (selection.number === 0) return selection.follow ? ring.next : ring.oldest;
  let found = 0;
  let start = ring.next;
  for (let at = ring.next - 1; at >= ring.oldest; at--) {
    const entry = ring.at(at);
    if (!entry || !within(entry, selection) || !selection.matches(entry)) continue;
    start = at;
    if (selection.counts(entry)) found += 1;
    if (found === selection.number) break;
  }
  return start;
}

function within(entry: Timed, { since, until }: Pick<Selection<Timed>, "since" | "until">): boolean {
  return (since === null || entry.time >= since) && (until === null || entry.time <= until);
}

/** Where a reader stands: what a selection wants, in order; with `follow` until `signal` ends it or `until` has passed. */
export class Cursor<T extends Timed> {
  readonly #ring: ReadableRing<T>;
  readonly #selection: Selection<T>;
  readonly #signal: AbortSignal;
  readonly #isWithin: (entry: T) => boolean;
  /** The next place to look at; -1 before the first look. */
  #at: Sequence = -1;
  #end: Sequence = Infinity;
  #left = Infinity;
  #inTurn = 0;

  constructor(ring: ReadableRing<T>, selection: Selection<T>, signal: AbortSignal) {
    this.#ring = ring;
    this.#selection = selection;
    this.#signal = signal;
    const { since, until, matches } = selection;
    this.#isWithin = since === null && until === null ? matches : (entry) => within(entry, selection) && matches(entry);
  }

  #begin(): void {
    const { first, number, follow } = this.#selection;
    this.#at = startOf(this.#ring, this.#selection);
    if (first && number > 0) this.#left = number;
    if (!follow) this.#end = this.#ring.next;
  }

  /** The next entry or gap; null where there is none yet, or others have their turn first: see {@link wait}. Undefined at the end. */
  next(): T | Gap | null | undefined {
    if (this.#at === -1) this.#begin();
    const ring = this.#ring;
    const { follow, until, counts } = this.#selection;
    while (this.#left > 0 && this.#at < this.#end && !this.#signal.aborted) {
      if (this.#at >= ring.next) return null;
      const { oldest } = ring;
      if (this.#at < oldest) {
        const lost = oldest - this.#at;
        this.#at = oldest;
        return { lost };
      }
      // A reader that never waits would keep events from coming in.
      if (this.#inTurn === IN_TURN) return null;
      this.#inTurn += 1;
      const entry = ring.at(this.#at++);
      if (!entry) continue;
      if (follow && until !== null && entry.time > until) break;
      if (!this.#isWithin(entry)) continue;
      if (counts(entry)) this.#left -= 1;
      return entry;
    }
    this.#left = 0;
    return undefined;
  }

  /** After null. */
  async wait(): Promise<void> {
    if (this.#at >= this.#ring.next) return this.#ring.wait(this.#at, this.#signal);
    await nextTurn();
    this.#inTurn = 0;
  }
}

/** What `make` makes of what a cursor comes to; null: nothing. Written out, since a generator costs more than what it gives. */
export class CursorStream<T extends Timed, R> implements AsyncIterableIterator<R, void, undefined> {
  readonly #cursor: Cursor<T>;
  readonly #make: (found: T | Gap) => R | null;
  /** The answers before have to come first. */
  #pending: Promise<unknown> | null = null;
  #isDone = false;

  constructor(cursor: Cursor<T>, make: (found: T | Gap) => R | null) {
    this.#cursor = cursor;
    this.#make = make;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<R, void>> {
    if (this.#pending === null) {
      try {
        const found = this.#take();
        if (found) return Promise.resolve(found);
      } catch (error) {
        this.#isDone = true;
        return Promise.reject(error as Error);
      }
    }
    return this.#after(() => this.#later());
  }

  return(): Promise<IteratorResult<R, void>> {
    return this.#after(() => {
      this.#isDone = true;
      return Promise.resolve({ done: true, value: undefined });
    });
  }

  /** Null: it has to be waited for. */
  #take(): IteratorResult<R, void> | null {
    while (!this.#isDone) {
      const found = this.#cursor.next();
      if (found === null) return null;
      if (found === undefined) break;
      const value = this.#make(found);
      if (value !== null) return { done: false, value };
    }
    this.#isDone = true;
    return { done: true, value: undefined };
  }

  async #later(): Promise<IteratorResult<R, void>> {
    try {
      for (;;) {
        const found = this.#take();
        if (found) return found;
        await this.#cursor.wait();
      }
    } catch (error) {
      this.#isDone = true;
      throw error;
    }
  }

  #after<V>(work: () => Promise<V>): Promise<V> {
    const made = this.#pending === null ? work() : this.#pending.then(work, work);
    const settled: Promise<void> = made.then(
      () => this.#settle(settled),
      () => this.#settle(settled),
    );
    this.#pending = settled;
    return made;
  }

  #settle(which: Promise<void>): void {
    if (this.#pending === which) this.#pending = null;
  }
}
