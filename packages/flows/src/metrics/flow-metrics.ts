/**
 * @module
 * Counters of flows for Prometheus. The number of series is bounded: what would exceed the bound counts as refused.
 */
import { flow } from "@skep/api";
import { Counter, type Registry } from "prom-client";
import type { FlowKin } from "../decode/kin.ts";
import type { FlowRecord } from "../decode/record.ts";
import { enumName } from "../names/enums.ts";
import { type ContextLabels, contextLabelsOf } from "./context.ts";
import { type Handler, handlerOf } from "./handlers.ts";
import { MetricsError, parseMetric } from "./options.ts";

export interface FlowMetricsOptions {
  readonly registry: Registry;
  /** Each as {@link parseMetric} reads it. */
  readonly metrics: readonly string[];
  /** Series of one metric; default 10,000. */
  readonly maxSeries?: number;
}

const MAX_SERIES = 10_000;
/** Between the label values of one series; no name may have it. */
const SEPARATOR = "\u0000";

interface Series {
  readonly child: ReturnType<Counter["labels"]>;
  readonly pods: readonly string[];
  /** Counted since the counter was read last: to count there for each flow costs more than all the rest. */
  fresh: number;
}

class CountedMetric {
  readonly #handler: Handler;
  readonly #context: ContextLabels;
  readonly #counter: Counter;
  readonly #refused: Counter;
  readonly #maxSeries: number;
  /** Each series by its values: its counter, and the workloads that it names. */
  readonly #series = new Map<string, Series>();

  constructor(text: string, { registry, maxSeries = MAX_SERIES }: FlowMetricsOptions, refused: Counter) {
    const options = parseMetric(text);
    this.#handler = handlerOf(options.name, options.flags);
    this.#context = contextLabelsOf(options);
    this.#refused = refused;
    this.#maxSeries = maxSeries;
    const { metric, help } = this.#handler;
    const collect = (): void => this.#tell();
    this.#counter = new Counter({ name: metric, help, labelNames: this.#names(), registers: [registry], collect });
  }

  #names(): string[] {
    return [...this.#handler.labels, ...this.#context.names];
  }

  get isByPort(): boolean {
    return this.#handler.isByPort === true;
  }

  /** Counts the flow. The series in which it did; null: in none; undefined: it was refused. */
  add(message: flow.Flow): Series | null | undefined {
    const own = this.#handler.count(message);
    if (!own) return null;
    const values = this.#context.names.length === 0 ? own : [...own, ...this.#context.values(message)];
    let key = values[0] ?? "";
    for (let at = 1; at < values.length; at++) key += SEPARATOR + (values[at] ?? "");
    const series = this.#series.get(key) ?? this.#open(key, values, message);
    if (series) series.fresh += 1;
    else this.#refused.inc({ metric: this.#handler.metric });
    return series ?? undefined;
  }

  #tell(): void {
    for (const series of this.#series.values()) {
      if (series.fresh === 0) continue;
      series.child.inc(series.fresh);
      series.fresh = 0;
    }
  }

  #open(key: string, values: readonly string[], message: flow.Flow) {
    if (this.#series.size >= this.#maxSeries) return null;
    const names = this.#names();
    const child = this.#counter.labels(Object.fromEntries(names.map((name, at) => [name, values[at] ?? ""])));
    const series = { child, pods: this.#context.podsOf(message), fresh: 0 };
    this.#series.set(key, series);
    return series;
  }

  /** Takes the series away that name the workload. */
  forget(pod: string): void {
    const names = this.#names();
    for (const [key, { pods }] of this.#series) {
      if (!pods.includes(pod)) continue;
      const values = key.split(SEPARATOR);
      this.#counter.remove(Object.fromEntries(names.map((name, at) => [name, values[at] ?? ""])));
      this.#series.delete(key);
    }
  }
}

/** Ports of one kin whose series are known; more is a scan. */
const MAX_PORTS = 64;

/** Which series count the flows of a kin. */
interface KinSeries {
  readonly kin: FlowKin;
  readonly always: readonly Series[];
  /** Where the port takes a part; null for replies. */
  readonly byPort: Map<number, readonly Series[]> | null;
}

/** Throws MetricsError, which names the metric and what is wrong with it. */
export function checkFlowMetrics(metrics: readonly string[]): void {
  const options = metrics.map(parseMetric);
  for (const { name, flags } of options) handlerOf(name, flags);
  const twice = options.find(({ name }, at) => options.findIndex((each) => each.name === name) !== at);
  if (twice) throw new MetricsError(`the metric "${twice.name}" is asked for twice`);
}

/** Counts the flow in each; the series, or null where one was refused. */
function countIn(metrics: readonly CountedMetric[], message: flow.Flow): readonly Series[] | null {
  const found = metrics.map((metric) => metric.add(message));
  return found.includes(undefined) ? null : found.filter((series) => series !== null && series !== undefined);
}

/** What is counted; `kin` and `destinationPort` where they are known. */
export type Countable = Pick<FlowRecord, "flow" | "kin" | "destinationPort">;

export class FlowMetrics {
  readonly #metrics: readonly CountedMetric[];
  readonly #byPort: readonly CountedMetric[];
  readonly #notByPort: readonly CountedMetric[];
  /** By the kin's place. */
  readonly #ofKin: (KinSeries | undefined)[] = [];
  readonly #lost: Counter;

  /** Throws MetricsError, which names the metric and what is wrong with it. */
  constructor(options: FlowMetricsOptions) {
    const registers = [options.registry];
    const refused = new Counter({
      ...{ name: "skep_metrics_refused_total", help: "Flows that a metric did not count: it has too many series" },
      ...{ labelNames: ["metric"], registers },
    });
    this.#lost = new Counter({
      ...{ name: "hubble_lost_events_total", help: "Number of lost events", labelNames: ["source"], registers },
    });
    checkFlowMetrics(options.metrics);
    this.#metrics = options.metrics.map((text) => new CountedMetric(text, options, refused));
    this.#byPort = this.#metrics.filter(({ isByPort }) => isByPort);
    this.#notByPort = this.#metrics.filter(({ isByPort }) => !isByPort);
  }

  /** Counts the record's flow. Of a kin that was seen before no message is made. */
  add(record: Countable): void {
    const { kin, destinationPort } = record;
    if (kin === undefined || destinationPort === undefined) return this.addFlow(record.flow);
    const known = this.#ofKin[kin.place];
    if (known?.kin !== kin) return this.#meet(kin, destinationPort, record.flow);
    const { always, byPort } = known;
    for (const series of always) series.fresh += 1;
    if (byPort === null) return;
    const ofPort = byPort.get(destinationPort);
    if (ofPort === undefined) this.#meetPort(byPort, destinationPort, record.flow);
    else for (const series of ofPort) series.fresh += 1;
  }

  addFlow(message: flow.Flow): void {
    for (const metric of this.#metrics) metric.add(message);
  }

  /** What is refused is counted as that each time: the kin stays unknown. */
  #meet(kin: FlowKin, port: number, message: flow.Flow): void {
    const isReply = message.isReply === true;
    const always = countIn(isReply ? this.#metrics : this.#notByPort, message);
    const ofPort = isReply ? null : countIn(this.#byPort, message);
    if (!always || (!ofPort && !isReply)) return;
    this.#ofKin[kin.place] = { kin, always, byPort: ofPort && new Map([[port, ofPort]]) };
  }

  #meetPort(byPort: Map<number, readonly Series[]>, port: number, message: flow.Flow): void {
    const found = countIn(this.#byPort, message);
    if (!found) return;
    if (byPort.size >= MAX_PORTS) byPort.clear();
    byPort.set(port, found);
  }

  addLoss(source: flow.LostEventSource, lost: bigint): void {
    const name = enumName(flow.LostEventSourceSchema, source) ?? String(source);
    this.#lost.inc({ source: name.toLowerCase() }, Number(lost));
  }

  /** A workload has gone; `pod` as `namespace/name`. Cilium's keep a minute's grace: that is the caller's. */
  forget(pod: string): void {
    for (const metric of this.#metrics) metric.forget(pod);
    this.#ofKin.fill(undefined);
  }
}
