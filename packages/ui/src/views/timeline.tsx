import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { type KeyboardEvent, type PointerEvent, type ReactNode, useRef, useState } from "react";
import type { Clients } from "../api/clients.ts";
import type { FlowFilters } from "../model/chips.ts";
import type { Period } from "../model/location.ts";
import { formatCount, formatMoment } from "../model/text.ts";
import { axisOf, type Bucket, bucketRows, movePeriod, shareOf, spans, type Thumb } from "../model/timeline.ts";
import type { FeedSnapshot } from "../state/feed.ts";
import { usePolled, useTick } from "../state/hooks.ts";

interface TimelineProps {
  readonly clients: Clients;
  readonly filters: FlowFilters;
  readonly snapshot: FeedSnapshot;
  /** Null: live. */
  readonly period: Period | null;
  readonly onPeriod: (period: Period | null) => void;
}

export const BUCKETS = 120;
const POLL_MS = 2000;

/** The server's counts; a server of Hubble's API keeps none: then those of the rows that are here. */
export async function askTimeline(
  clients: Clients,
  { filters, axis, signal }: { readonly filters: FlowFilters; readonly axis: Period; readonly signal: AbortSignal },
): Promise<Bucket[] | null> {
  const range = { since: timestampFromMs(axis.from), until: timestampFromMs(axis.to), buckets: BUCKETS };
  try {
    const request = { ...range, whitelist: filters.allow, blacklist: filters.deny };
    const { buckets } = await clients.flows.getTimeline(request, { signal });
    return buckets.map(({ start, forwarded, dropped, audit, other }) => ({
      start: start ? Number(start.seconds) * 1000 + start.nanos / 1_000_000 : 0,
      forwarded: Number(forwarded),
      dropped: Number(dropped),
      other: Number(audit + other),
    }));
  } catch (error) {
    if (ConnectError.from(error).code === Code.Unimplemented) return null;
    throw error;
  }
}

/** How many flows there were, and which of them are shown: drag over a part, or move its ends. */
export function Timeline({ clients, filters, snapshot, period, onPeriod }: TimelineProps): ReactNode {
  useTick(POLL_MS);
  const [span, setSpan] = useState<number>(spans[1].ms);
  const [dragged, setDragged] = useState<Period | null>(null);
  const place = useRef<HTMLDivElement>(null);
  const shown = dragged ?? period;
  const axis = axisOf(Date.now(), span, period);
  const polled = usePolled(
    (signal) => askTimeline(clients, { filters, axis, signal }),
    POLL_MS,
    `${span} ${JSON.stringify(filters, textOfBig)} ${period?.from}`,
  );
  const buckets = polled.value ?? bucketRows(snapshot.rows, axis, BUCKETS);
  const timeAt = (x: number): number => {
    const room = place.current?.getBoundingClientRect();
    return room ? axis.from + ((x - room.left) / room.width) * (axis.to - axis.from) : axis.to;
  };
  const start = useRef<number | null>(null);
  const onDown = (event: PointerEvent<HTMLDivElement>): void => {
    if (event.target instanceof Element && event.target.closest("[role=slider]")) return;
    event.currentTarget.setPointerCapture(event.pointerId);
    start.current = timeAt(event.clientX);
  };
  const onMove = (event: PointerEvent<HTMLDivElement>): void => {
    if (start.current === null) return;
    const time = timeAt(event.clientX);
    setDragged({ from: Math.min(start.current, time), to: Math.max(start.current, time) });
  };
  const onUp = (): void => {
    start.current = null;
    if (dragged && dragged.to - dragged.from > (axis.to - axis.from) / 200) onPeriod(dragged);
    setDragged(null);
  };
  const whole = shown ?? axis;
  const setThumb = (thumb: Thumb, time: number): void => onPeriod(movePeriod(whole, thumb, time, axis));
  return (
    <section className="timeline" aria-label="Time">
      <button
        type="button"
        className={`button live${period ? "" : " on"}`}
        aria-pressed={!period}
        onClick={() => onPeriod(null)}
      >
        <span className="dot" /> Live
      </button>
      <div className="time-room" ref={place} onPointerDown={onDown} onPointerMove={onMove} onPointerUp={onUp}>
        <Bars buckets={buckets} />
        {shown ? (
          <div
            className="time-shown"
            style={{ left: `${shareOf(whole.from, axis) * 100}%`, right: `${(1 - shareOf(whole.to, axis)) * 100}%` }}
          />
        ) : null}
        {(["from", "to"] as const).map((thumb) => (
          <ThumbView key={thumb} thumb={thumb} time={whole[thumb]} axis={axis} onTime={setThumb} timeAt={timeAt} />
        ))}
      </div>
      <select
        aria-label="Length of the timeline"
        value={span}
        onChange={(event) => setSpan(Number(event.target.value))}
      >
        {spans.map(({ name, ms }) => (
          <option key={ms} value={ms}>
            {name}
          </option>
        ))}
      </select>
      <span className="time-text quiet">
        {period ? `${formatMoment(period.from)} to ${formatMoment(period.to).slice(11)}` : "up to now, as it happens"}
      </span>
    </section>
  );
}

const textOfBig = (_key: string, value: unknown): unknown => (typeof value === "bigint" ? String(value) : value);

interface ThumbProps {
  readonly thumb: Thumb;
  readonly time: number;
  readonly axis: Period;
  readonly onTime: (thumb: Thumb, time: number) => void;
  readonly timeAt: (x: number) => number;
}

function ThumbView({ thumb, time, axis, onTime, timeAt }: ThumbProps): ReactNode {
  const step = (axis.to - axis.from) / BUCKETS;
  const onKey = (event: KeyboardEvent): void => {
    const moves: Readonly<Record<string, number>> = {
      ...{ ArrowLeft: time - step, ArrowDown: time - step, ArrowRight: time + step, ArrowUp: time + step },
      ...{ PageDown: time - step * 10, PageUp: time + step * 10, Home: axis.from, End: axis.to },
    };
    const to = moves[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    onTime(thumb, to);
  };
  return (
    <div
      role="slider"
      tabIndex={0}
      className="thumb"
      aria-label={thumb === "from" ? "Begin of the period" : "End of the period"}
      aria-valuemin={Math.round(axis.from)}
      aria-valuemax={Math.round(axis.to)}
      aria-valuenow={Math.round(Math.min(axis.to, Math.max(axis.from, time)))}
      aria-valuetext={formatMoment(time)}
      style={{ left: `${shareOf(time, axis) * 100}%` }}
      onKeyDown={onKey}
      onPointerDown={(event) => event.currentTarget.setPointerCapture(event.pointerId)}
      onPointerUp={(event) => onTime(thumb, timeAt(event.clientX))}
    />
  );
}

function Bars({ buckets }: { readonly buckets: readonly Bucket[] }): ReactNode {
  const most = Math.max(1, ...buckets.map(({ forwarded, dropped, other }) => forwarded + dropped + other));
  const width = 1000 / Math.max(1, buckets.length);
  const total = buckets.reduce((sum, { forwarded, other }) => sum + forwarded + other, 0);
  const drops = buckets.reduce((sum, { dropped }) => sum + dropped, 0);
  return (
    <svg
      viewBox="0 0 1000 100"
      preserveAspectRatio="none"
      role="img"
      aria-label={`${formatCount(total)} flows passed and ${formatCount(drops)} were dropped`}
    >
      {buckets.map(({ start, forwarded, dropped, other }, i) => {
        const [good, bad] = [((forwarded + other) / most) * 100, (dropped / most) * 100];
        if (good + bad === 0) return null;
        const shape = { x: i * width, width: width * 0.8 };
        return (
          <g key={start}>
            <rect className="bar-good" {...shape} y={100 - good} height={good} />
            <rect className="bar-bad" {...shape} y={100 - good - bad} height={bad} />
          </g>
        );
      })}
    </svg>
  );
}
