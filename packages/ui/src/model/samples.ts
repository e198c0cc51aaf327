/**
 * @module
 * Rates from counters that are read from time to time.
 */
import type { skep } from "@skep/api";

export interface Sample {
  /** Milliseconds since 1970. */
  readonly time: number;
  /** Packets counted so far, by `Forwarded` and the reasons of drops. */
  readonly packets: ReadonlyMap<string, number>;
}

export const MOST_SAMPLES = 900;

export function sampleOf(time: number, counters: readonly skep.Counter[]): Sample {
  const packets = new Map<string, number>();
  for (const { reasonName, packets: count } of counters) {
    packets.set(reasonName, (packets.get(reasonName) ?? 0) + Number(count));
  }
  return { time, packets };
}

/** The newest samples, with one more. */
export function withSample(samples: readonly Sample[], sample: Sample): readonly Sample[] {
  return [...samples.slice(-(MOST_SAMPLES - 1)), sample];
}

export interface Series {
  readonly name: string;
  /** A value for each time; null: not known. */
  readonly values: readonly (number | null)[];
}

export interface Rates {
  /** Seconds since 1970. */
  readonly times: readonly number[];
  readonly series: readonly Series[];
}

/** Packets a second between each two samples, by name. A counter that went back began anew: its rate is not known. */
export function ratesOf(samples: readonly Sample[]): Rates {
  const names = [...new Set(samples.flatMap(({ packets }) => [...packets.keys()]))].sort(
    (a, b) => Number(b === "Forwarded") - Number(a === "Forwarded") || (a < b ? -1 : 1),
  );
  const times = samples.slice(1).map(({ time }) => time / 1000);
  const series = names.map((name) => ({
    name,
    values: samples.slice(1).map((sample, i) => {
      const before = samples[i];
      const grown = (sample.packets.get(name) ?? 0) - (before?.packets.get(name) ?? 0);
      const seconds = (sample.time - (before?.time ?? 0)) / 1000;
      return grown < 0 || seconds <= 0 ? null : grown / seconds;
    }),
  }));
  return { times, series };
}
