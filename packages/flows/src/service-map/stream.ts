/**
 * @module
 * The service map as a stream of changes, and flows counted over time, from whatever answers GetFlows.
 */
import { create } from "@bufbuild/protobuf";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { flow, observer, skep } from "@skep/api";
import { timestampOf } from "../decode/flow.ts";
import { FilterError } from "../filter/error.ts";
import type { FlowServer } from "../server.ts";
import { ServiceMap } from "./service-map.ts";

/** What the stream needs of time. */
export interface Ticks {
  /** Nanoseconds since 1970. */
  now(): bigint;
  /** Resolves after `milliseconds`, or at the signal. */
  sleep(milliseconds: number, signal: AbortSignal): Promise<void>;
}

const MIN_INTERVAL_MS = 100;
const MAX_BUCKETS = 2000;

function take(map: ServiceMap, { responseTypes }: observer.GetFlowsResponse): void {
  if (responseTypes.case === "flow") map.add(responseTypes.value);
  else if (responseTypes.case === "lostEvents") map.addLost(responseTypes.value.numEventsLost);
}

/** Throws FilterError before the first response. */
export function serviceMapStream(
  flows: FlowServer,
  request: skep.GetServiceMapRequest,
  options: Ticks & { readonly signal: AbortSignal },
): AsyncGenerator<skep.GetServiceMapResponse, void, undefined> {
  const { whitelist, blacklist, since, until, follow } = request;
  const asked = create(observer.GetFlowsRequestSchema, {
    ...{ whitelist, blacklist },
    ...(since && { since }),
    ...(until && !follow && { until }),
  });
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  const past = flows.getFlows(asked, signal);
  const map = new ServiceMap({ grouping: request.grouping });
  async function* run(): AsyncGenerator<skep.GetServiceMapResponse, void, undefined> {
    try {
      const resume = follow ? options.now() : null;
      const following =
        resume === null
          ? null
          : flows.getFlows(
              create(observer.GetFlowsRequestSchema, { ...asked, since: timestampOf(resume), follow }),
              signal,
            );
      for await (const response of past) {
        // What came while the past was read comes again by following.
        if (resume === null || momentOf(response.time) < resume) take(map, response);
      }
      yield map.changes(resume);
      if (!following) return;
      const reading = (async () => {
        for await (const response of following) take(map, response);
      })();
      const ended = reading.then(
        () => stop.abort(),
        () => stop.abort(),
      );
      while (!signal.aborted) {
        await options.sleep(Math.max(MIN_INTERVAL_MS, request.intervalMs || 1000), signal);
        if (!signal.aborted) yield map.changes(options.now());
      }
      await ended;
      if (!options.signal.aborted) await reading;
    } finally {
      stop.abort();
    }
  }
  return run();
}

const momentOf = (time: Timestamp | undefined): bigint =>
  time ? time.seconds * 1_000_000_000n + BigInt(time.nanos) : 0n;

interface Moment {
  readonly at: bigint;
  readonly verdict: flow.Verdict | null;
  readonly lost: bigint;
}

/** Flows counted over time. Throws FilterError for a range or a number of buckets that cannot be. */
export async function timelineOf(
  flows: FlowServer,
  request: skep.GetTimelineRequest,
  options: Pick<Ticks, "now"> & { readonly signal: AbortSignal },
): Promise<skep.GetTimelineResponse> {
  const { whitelist, blacklist, since, until } = request;
  const count = request.buckets || 120;
  if (count > MAX_BUCKETS) throw new FilterError(`${count} buckets are too many: at most ${MAX_BUCKETS}`);
  const asked = create(observer.GetFlowsRequestSchema, {
    ...{ whitelist, blacklist },
    ...(since && { since }),
    ...(until && { until }),
  });
  const moments: Moment[] = [];
  for await (const { responseTypes, time } of flows.getFlows(asked, options.signal)) {
    const at = momentOf(time);
    if (responseTypes.case === "flow") moments.push({ at, verdict: responseTypes.value.verdict, lost: 0n });
    else if (responseTypes.case === "lostEvents")
      moments.push({ at, verdict: null, lost: responseTypes.value.numEventsLost });
  }
  const oldest = moments.reduce<bigint | null>((least, { at }) => (least === null || at < least ? at : least), null);
  const start = since ? momentOf(since) : (oldest ?? options.now());
  const end = until ? momentOf(until) : options.now();
  if (end < start) throw new FilterError("until is before since");
  const width = (end - start) / BigInt(count) + 1n;
  const buckets = Array.from({ length: count }, (_, index) =>
    create(skep.TimelineBucketSchema, { start: timestampOf(start + width * BigInt(index)) }),
  );
  for (const moment of moments) countIn(buckets[Number((moment.at - start) / width)], moment);
  return create(skep.GetTimelineResponseSchema, { buckets, ...(oldest !== null && { oldest: timestampOf(oldest) }) });
}

function countIn(bucket: skep.TimelineBucket | undefined, { verdict, lost }: Moment): void {
  if (!bucket) return;
  if (verdict === null) bucket.lost += lost;
  else if (verdict === flow.Verdict.FORWARDED) bucket.forwarded += 1n;
  else if (verdict === flow.Verdict.DROPPED) bucket.dropped += 1n;
  else if (verdict === flow.Verdict.AUDIT) bucket.audit += 1n;
  else bucket.other += 1n;
}
