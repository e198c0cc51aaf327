/**
 * @module
 * Which packets leave flows, as `skep up` is told.
 */
import type { MonitorAggregation, MonitorOptions } from "@skep/datapath";
import { usageError } from "../errors.ts";
import { parseDuration } from "../output/duration.ts";

export interface MonitorFlags {
  readonly monitorAggregation: MonitorAggregation;
  readonly monitorAggregationInterval: string;
  readonly monitorAggregationFlags: string;
}

/** As they stand in the header (RFC 9293). */
const TCP_FLAGS: Readonly<Record<string, number>> = {
  fin: 1,
  syn: 2,
  rst: 4,
  psh: 8,
  ack: 16,
  urg: 32,
  ece: 64,
  cwr: 128,
};
/** Rows of connections keep seven bits of it. */
const LONGEST_SECONDS = 127;

function flagsOf(text: string): number {
  let flags = 0;
  for (const name of text.split(",").filter((each) => each !== "")) {
    const flag = TCP_FLAGS[name.trim().toLowerCase()];
    if (flag === undefined)
      throw usageError(`--monitor-aggregation-flags: "${name}" is none of ${Object.keys(TCP_FLAGS).join(", ")}`);
    flags |= flag;
  }
  return flags;
}

export function monitorOf(flags: MonitorFlags): MonitorOptions {
  const { monitorAggregation: aggregation, monitorAggregationInterval: interval } = flags;
  const seconds = (parseDuration(interval) ?? 0) / 1000;
  if (!Number.isInteger(seconds) || seconds < 1 || seconds > LONGEST_SECONDS)
    throw usageError(
      `--monitor-aggregation-interval: "${interval}" is not from 1s to ${LONGEST_SECONDS}s, in whole seconds`,
    );
  return { aggregation, flags: flagsOf(flags.monitorAggregationFlags), intervalSeconds: seconds };
}
