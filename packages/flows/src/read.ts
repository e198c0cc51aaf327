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

/** Entries that a selection wants, in order; with `follow` until `signal` ends it or `until` has passed. */
export async function* read<T extends Timed>(
  ring: ReadableRing<T>,
  selection: Selection<T>,
  signal: AbortSignal,
): AsyncGenerator<T | Gap, void, undefined> {
  let at = startOf(ring, selection);
  let left = selection.first && selection.number > 0 ? selection.number : Infinity;
  const end = selection.follow ? Infinity : ring.next;
  let inTurn = 0;
  while (left > 0 && at < end && !signal.aborted) {
    if (at >= ring.next) {
      await ring.wait(at, signal);
      continue;
    }
    if (at < ring.oldest) {
      const lost = ring.oldest - at;
      at = ring.oldest;
      yield { lost };
      continue;
    }
    // A reader that never waits would keep events from coming in.
    if (++inTurn % IN_TURN === 0) {
      await nextTurn();
      if (at < ring.oldest) continue;
    }
    const entry = ring.at(at);
    at += 1;
    if (!entry) continue;
    if (selection.follow && selection.until !== null && entry.time > selection.until) return;
    if (!within(entry, selection) || !selection.matches(entry)) continue;
    if (selection.counts(entry)) left -= 1;
    yield entry;
  }
}
