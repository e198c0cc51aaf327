/**
 * @module
 * Numbers of flows over time, and the period that is chosen of it. Times in milliseconds since 1970.
 */
import type { Period } from "./location.ts";
import { outcomeOf, type Row } from "./row.ts";

export interface Bucket {
  readonly start: number;
  readonly forwarded: number;
  readonly dropped: number;
  readonly other: number;
}

/** Of rows, where the server keeps no timeline. */
export function bucketRows(rows: Iterable<Row>, { from, to }: Period, count: number): Bucket[] {
  const width = (to - from) / count;
  const buckets = Array.from({ length: count }, (_, i) => ({
    ...{ start: from + i * width, forwarded: 0, dropped: 0, other: 0 },
  }));
  for (const { time, flow } of rows) {
    const bucket = buckets[Math.floor((time - from) / width)];
    if (!bucket) continue;
    const outcome = outcomeOf(flow);
    bucket[outcome === "forwarded" || outcome === "dropped" ? outcome : "other"] += 1;
  }
  return buckets;
}

export const spans = [
  { name: "5 min", ms: 300_000 },
  { name: "15 min", ms: 900_000 },
  { name: "1 h", ms: 3_600_000 },
  { name: "6 h", ms: 21_600_000 },
  { name: "1 d", ms: 86_400_000 },
  { name: "7 d", ms: 604_800_000 },
] as const;

/** What the axis shows: the span before now, and all of the chosen period. */
export function axisOf(now: number, span: number, period: Period | null): Period {
  if (!period || period.from >= now - span) return { from: now - span, to: now };
  return { from: period.from - span * 0.1, to: Math.max(period.to + span * 0.1, period.from + span) };
}

/** From 0 to 1. */
export function shareOf(time: number, { from, to }: Period): number {
  return Math.min(1, Math.max(0, (time - from) / (to - from)));
}

export type Thumb = "from" | "to";

const LEAST_MS = 1000;

/** One end of the period moved to a time; they never cross. */
export function movePeriod(period: Period, thumb: Thumb, time: number, axis: Period): Period {
  const clamped = Math.min(axis.to, Math.max(axis.from, time));
  if (thumb === "from") return { from: Math.min(clamped, period.to - LEAST_MS), to: period.to };
  return { from: period.from, to: Math.max(clamped, period.from + LEAST_MS) };
}
