/**
 * @module
 * Where flows go beside the ring: metrics, the history, files, a collector of OpenTelemetry.
 */
import type { flow } from "@skep/api";
import {
  collectorUrl,
  type DnsNames,
  type FlowMetrics,
  type FlowRecord,
  History,
  type HistoryOptions,
  OtlpLogs,
  OtlpMetrics,
  type SenderOptions,
} from "@skep/flows";
import { Gauge, type Registry } from "prom-client";
import type { Agent } from "./agent.ts";
import { checkFlowLogs, type FlowLogOptions, FlowLogs } from "./flow-logs.ts";
import { errorText } from "./log.ts";
import { agentRegistry, checkMetrics, type MetricsOptions, type RunningMetrics, serveMetrics } from "./metrics.ts";

export interface OtlpOptions extends SenderOptions {
  /** Default both. */
  readonly signals?: readonly ("logs" | "metrics")[];
  /** Between two requests with metrics. Default 60,000. */
  readonly metricsMs?: number;
}

export interface OutputOptions {
  readonly metrics?: MetricsOptions;
  /** Flows are kept on disk too. */
  readonly history?: Omit<HistoryOptions, "nodeName" | "now">;
  readonly flowLogs?: FlowLogOptions;
  readonly otlp?: OtlpOptions;
}

/** Throws what is wrong with the options: asked before anything is loaded. */
export function checkOutputs({ metrics, flowLogs, otlp }: OutputOptions): void {
  if (metrics) checkMetrics(metrics);
  if (flowLogs) checkFlowLogs(flowLogs);
  if (otlp) collectorUrl(otlp.endpoint, "v1/logs");
}

interface Place {
  readonly nodeName: string;
  readonly version: string;
  /** Nanoseconds since 1970. */
  readonly now: () => bigint;
}

interface OutputsPlace extends Place {
  readonly dns: DnsNames;
}

export class Outputs {
  readonly history: History | null;
  readonly #metrics: FlowMetrics | null;
  readonly #served: RunningMetrics | null;
  readonly #logs: FlowLogs | null;
  readonly #otlpLogs: OtlpLogs | null;
  readonly #otlpMetrics: OtlpMetrics | null;

  private constructor(parts: {
    readonly history: History | null;
    readonly counted: { readonly registry: Registry; readonly flows: FlowMetrics } | null;
    readonly served: RunningMetrics | null;
    readonly logs: FlowLogs | null;
    readonly otlpLogs: OtlpLogs | null;
    readonly otlpMetrics: OtlpMetrics | null;
  }) {
    this.history = parts.history;
    this.#metrics = parts.counted?.flows ?? null;
    this.#served = parts.served;
    this.#logs = parts.logs;
    this.#otlpLogs = parts.otlpLogs;
    this.#otlpMetrics = parts.otlpMetrics;
  }

  /** Throws where one of them cannot be. */
  static async open(agent: Agent, options: OutputOptions, { dns, ...place }: OutputsPlace): Promise<Outputs> {
    const { log } = agent.options;
    const { nodeName, now } = place;
    const onError = (error: unknown): void => log.error("the collector has not taken it", { error: errorText(error) });
    const { metrics, otlp } = options;
    const signals = otlp ? (otlp.signals ?? ["logs", "metrics"]) : [];
    const counted = metrics ? agentRegistry(agent, metrics, dns) : null;
    const listen = metrics?.listen;
    const served = counted && listen !== undefined ? await serveMetrics(counted, { listen }, log) : null;
    try {
      const history = options.history ? await History.open({ ...options.history, nodeName, now }) : null;
      const logs = options.flowLogs
        ? new FlowLogs({ ...options.flowLogs, nodeName, now, log, stdout: (text) => void process.stdout.write(text) })
        : null;
      const otlpLogs = otlp && signals.includes("logs") ? new OtlpLogs({ ...otlp, ...place, onError }) : null;
      const { metricsMs: intervalMs = 60_000 } = otlp ?? {};
      const otlpMetrics =
        otlp && counted && signals.includes("metrics")
          ? new OtlpMetrics({ ...otlp, ...place, registry: counted.registry, intervalMs, onError })
          : null;
      if (counted) {
        logs?.register(counted.registry);
        if (otlpLogs) registerOtlp(counted.registry, otlpLogs);
      }
      return new Outputs({ history, counted, served, logs, otlpLogs, otlpMetrics });
    } catch (error) {
      await served?.close();
      throw error;
    }
  }

  /** Where metrics are served, where they are. */
  get metricsAddress(): string | null {
    return this.#served?.address ?? null;
  }

  add(record: FlowRecord): void {
    this.#metrics?.add(record);
    this.history?.add(record.flow);
    this.#logs?.add(record);
    this.#otlpLogs?.add(record);
  }

  addLoss(source: flow.LostEventSource, lost: bigint): void {
    this.#metrics?.addLoss(source, lost);
    this.history?.addLoss(source, lost);
    this.#logs?.addLoss(source, lost);
  }

  addAgentEvent(event: flow.AgentEvent): void {
    this.#logs?.addAgentEvent(event);
  }

  /** The workload has gone: `namespace/name`. */
  forget(pod: string): void {
    this.#metrics?.forget(pod);
  }

  /** Once a second: whether the configuration of files has changed. */
  look(): void {
    this.#logs?.look();
  }

  async close(): Promise<void> {
    await this.#served?.close();
    await Promise.all([this.#logs?.close(), this.#otlpLogs?.close(), this.#otlpMetrics?.close()]);
    await this.history?.close();
  }
}

function registerOtlp(registry: Registry, logs: OtlpLogs): void {
  const gauge = new Gauge({
    ...{ name: "skep_otlp_flows", help: "Flows for the collector", labelNames: ["state"], registers: [] },
    collect() {
      for (const [state, value] of [
        ["sent", logs.sent],
        ["lost", logs.lost],
        ["waiting", logs.waiting],
      ] as const)
        this.set({ state }, value);
    },
  });
  registry.registerMetric(gauge);
}
