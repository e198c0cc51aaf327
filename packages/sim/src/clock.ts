import type { Clock } from "@skep/machine";

interface Event {
  readonly at: bigint;
  readonly order: number;
  readonly run: () => void;
  cancelled: boolean;
}

const NANOSECONDS_PER_MS = 1_000_000n;

/**
 * Virtual time: it stands still until somebody lets it go on. What is due at the same instant runs in the order in which it was asked for.
 */
export class VirtualClock implements Clock {
  #now: bigint;
  #order = 0;
  readonly #epoch: number;
  /** A binary heap by time and order. */
  readonly #events: Event[] = [];
  #onEvent: (() => void) | null = null;

  /** `epoch`: milliseconds since 1970 at the start; `monotonic`: nanoseconds of CLOCK_MONOTONIC then. */
  constructor(options: { readonly epoch: number; readonly monotonic: bigint }) {
    this.#now = options.monotonic;
    this.#epoch = options.epoch - Number(options.monotonic / NANOSECONDS_PER_MS);
  }

  now(): number {
    return this.#epoch + Number(this.#now) / 1_000_000;
  }

  /** Nanoseconds since 1970. */
  epochNanoseconds(): bigint {
    return BigInt(this.#epoch) * NANOSECONDS_PER_MS + this.#now;
  }

  monotonic(): bigint {
    return this.#now;
  }

  after(ms: number, run: () => void): () => void {
    return this.at(this.#now + BigInt(Math.round(Math.max(0, ms) * 1_000_000)), run);
  }

  /** Runs once when CLOCK_MONOTONIC reaches `at`; a time that is over means now. */
  at(at: bigint, run: () => void): () => void {
    const event = { at: at > this.#now ? at : this.#now, order: this.#order++, run, cancelled: false };
    push(this.#events, event);
    this.#onEvent?.();
    return () => {
      event.cancelled = true;
    };
  }

  /** Is told of every event that is asked for. */
  watch(onEvent: (() => void) | null): void {
    this.#onEvent = onEvent;
  }

  /** When the next event is due; null where none is. */
  next(): bigint | null {
    while (this.#events[0]?.cancelled) pop(this.#events);
    return this.#events[0]?.at ?? null;
  }

  /** Goes on to the next event and runs it. False where there is none, or none up to `limit`. */
  step(limit?: bigint): boolean {
    const at = this.next();
    if (at === null || (limit !== undefined && at > limit)) return false;
    const event = pop(this.#events);
    this.#now = at;
    event?.run();
    return true;
  }

  /** Lets time pass without events in between: for who has run them all. */
  skipTo(at: bigint): void {
    if (at > this.#now) this.#now = at;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

function push(heap: Event[], event: Event): void {
  let at = heap.length;
  heap.push(event);
  while (at > 0) {
    const parent = (at - 1) >> 1;
    const above = heap[parent];
    if (!above || !isBefore(event, above)) break;
    heap[at] = above;
    at = parent;
  }
  heap[at] = event;
}

function pop(heap: Event[]): Event | undefined {
  const first = heap[0];
  const last = heap.pop();
  if (!last || heap.length === 0) return first;
  let at = 0;
  for (;;) {
    const [left, right] = [heap[2 * at + 1], heap[2 * at + 2]];
    if (!left) break;
    const [child, index] = right && isBefore(right, left) ? [right, 2 * at + 2] : [left, 2 * at + 1];
    if (!isBefore(child, last)) break;
    heap[at] = child;
    at = index;
  }
  heap[at] = last;
  return first;
}
