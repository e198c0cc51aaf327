/** @module Prometheus' metrics as OpenTelemetry's: counters become cumulative sums, histograms keep their buckets. */
import type { MetricObjectWithValues, MetricValue, Registry } from "prom-client";
import { Sender, type SenderOptions } from "./sender.ts";
import { attributesOf, type Resource, resourceOf } from "./values.ts";

export interface OtlpMetricsOptions extends SenderOptions, Resource {
  readonly registry: Registry;
  /** Nanoseconds since 1970. */
  readonly now: () => bigint;
  /** Between two of them. Default 60,000. */
  readonly intervalMs?: number;
  /** The first request that failed; told again after one that did not. */
  readonly onError?: (error: unknown) => void;
}

/** AggregationTemporality. */
const CUMULATIVE = 2;

type Labels = Readonly<Record<string, string | number>>;
type Value = MetricValue<string> & { readonly metricName?: string };
type Metric = MetricObjectWithValues<Value>;

interface Times {
  readonly startTimeUnixNano: string;
  readonly timeUnixNano: string;
}

function histogramPoints({ name, values }: Metric, times: Times): object[] {
  const series = new Map<string, { labels: Labels; bounds: number[]; counts: number[]; sum: number; count: number }>();
  for (const { labels, metricName = "", value } of values) {
    const { le, ...own } = labels as Labels;
    const key = JSON.stringify(Object.entries(own).sort());
    const point = series.get(key) ?? { labels: own, bounds: [], counts: [], sum: 0, count: 0 };
    series.set(key, point);
    if (metricName === `${name}_sum`) point.sum = value;
    else if (metricName === `${name}_count`) point.count = value;
    else {
      if (le !== "+Inf") point.bounds.push(Number(le));
      point.counts.push(value);
    }
  }
  return [...series.values()].map(({ labels, bounds, counts, sum, count }) => ({
    ...times,
    attributes: attributesOf(labels),
    count: String(count),
    sum,
    explicitBounds: bounds,
    // Prometheus' buckets hold those below them too.
    bucketCounts: counts.map((each, at) => String(each - (counts[at - 1] ?? 0))),
  }));
}

function otlpMetric(metric: Metric, times: Times): object | null {
  const { name, help: description, values } = metric;
  const type = String(metric.type);
  if (values.length === 0) return null;
  if (type === "histogram") {
    const histogram = { aggregationTemporality: CUMULATIVE, dataPoints: histogramPoints(metric, times) };
    return { name, description, histogram };
  }
  // Quantiles of a summary are left out, as by the OpenTelemetry collector's own conversion of what has none.
  if (type === "summary") return null;
  const { startTimeUnixNano, timeUnixNano } = times;
  const isSum = type === "counter";
  const dataPoints = values
    .filter(({ value }) => Number.isFinite(value))
    .map(({ labels, value }) => ({
      ...(isSum ? { startTimeUnixNano } : {}),
      timeUnixNano,
      asDouble: value,
      attributes: attributesOf(labels as Labels),
    }));
  return isSum
    ? { name, description, sum: { aggregationTemporality: CUMULATIVE, isMonotonic: true, dataPoints } }
    : { name, description, gauge: { dataPoints } };
}

/** Of a registry, as ExportMetricsServiceRequest. */
export async function metricsRequest(registry: Registry, from: Resource, times: Times): Promise<object> {
  const all = (await registry.getMetricsAsJSON()) as unknown as Metric[];
  const metrics = all.map((each) => otlpMetric(each, times)).filter((each) => each !== null);
  return {
    resourceMetrics: [
      { resource: resourceOf(from), scopeMetrics: [{ scope: { name: "skep", version: from.version }, metrics }] },
    ],
  };
}

export class OtlpMetrics {
  readonly #options: OtlpMetricsOptions;
  readonly #sender: Sender;
  readonly #startedAt: bigint;
  readonly #timer: NodeJS.Timeout;
  #sending: Promise<void> | null = null;
  #isFailing = false;
  #missed = 0;

  /** Throws OtlpError for an address that is none. */
  constructor(options: OtlpMetricsOptions) {
    this.#options = options;
    this.#sender = new Sender(options, "v1/metrics");
    this.#startedAt = options.now();
    this.#timer = setInterval(() => void this.flush(), options.intervalMs ?? 60_000).unref();
  }

  /** Requests that the collector did not take: the next one makes up for them, since sums go on. */
  get missed(): number {
    return this.#missed;
  }

  flush(): Promise<void> {
    this.#sending ??= this.#send().finally(() => (this.#sending = null));
    return this.#sending;
  }

  async #send(): Promise<void> {
    const { registry, now } = this.#options;
    try {
      const times = { startTimeUnixNano: String(this.#startedAt), timeUnixNano: String(now()) };
      await this.#sender.send(JSON.stringify(await metricsRequest(registry, this.#options, times)));
      this.#isFailing = false;
    } catch (error) {
      this.#missed += 1;
      if (!this.#isFailing) this.#options.onError?.(error);
      this.#isFailing = true;
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#sender.stop();
    await this.#sending;
    await this.flush();
    this.#sender.close();
  }
}
