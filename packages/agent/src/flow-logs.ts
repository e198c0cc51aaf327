/**
 * @module
 * Flows to files: one output of the agent's options, and those of a configuration that is read again when it changes.
 */
import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import type { flow } from "@skep/api";
import {
  checkFlowLog,
  FlowExporter,
  type FlowLog,
  FlowLogError,
  flowLogsOf,
  type FlowRecord,
  type LineSink,
  RotatingFile,
} from "@skep/flows";
import { parseYaml, toValue } from "@skep/policy";
import { Counter, Gauge, type Registry } from "prom-client";
import { errorText, type Logger } from "./log.ts";

export interface FlowLogOptions {
  /** For as long as the agent runs. */
  readonly fixed?: Omit<FlowLog, "name">;
  /** A file as Cilium's `hubble-flowlogs-config-path`; it may come later. */
  readonly configPath?: string;
}

interface Settings extends FlowLogOptions {
  readonly nodeName: string;
  /** Nanoseconds since 1970. */
  readonly now: () => bigint;
  readonly log: Logger;
  /** Where `stdout` leads. */
  readonly stdout: (text: string) => void;
}

interface Open {
  readonly log: FlowLog;
  /** Of the configuration, to tell a change. */
  readonly text: string;
  readonly exporter: FlowExporter;
}

/** The file has kept still for one look before it is taken over: what is half written is not. */
const GONE = "gone";

const textOf = (log: FlowLog): string =>
  JSON.stringify(log, (_key, value: unknown) => (typeof value === "bigint" ? `${value}` : value));

/** Throws FlowLogError for filters or fields that are none. */
export function checkFlowLogs({ fixed }: FlowLogOptions): void {
  if (fixed) checkFlowLog({ ...fixed, name: "" }, "the flow export");
}

export class FlowLogs {
  readonly #settings: Settings;
  readonly #fixed: FlowExporter | null;
  #open = new Map<string, Open>();
  /** All that are written to, for the hot path. */
  #all: readonly FlowExporter[] = [];
  #seen = "";
  #applied = "";
  #hash = 0;
  #appliedAt = 0;
  readonly #changes = new Map<string, number>();
  #closing: Promise<void>[] = [];

  constructor(settings: Settings) {
    this.#settings = settings;
    this.#fixed = settings.fixed ? this.#exporterOf({ ...settings.fixed, name: "" }) : null;
    this.#gather();
    this.#read(this.#stamp());
  }

  get isWanted(): boolean {
    return this.#all.length > 0;
  }

  add(record: FlowRecord): void {
    for (const exporter of this.#all) exporter.add(record);
  }

  addLoss(source: flow.LostEventSource, lost: bigint): void {
    for (const exporter of this.#all) exporter.addLoss(source, lost);
  }

  addAgentEvent(event: flow.AgentEvent): void {
    for (const exporter of this.#all) exporter.addAgentEvent(event);
  }

  /** Looks at the configuration; one that has changed and kept still since the last look is applied. */
  look(): void {
    const stamp = this.#stamp();
    if (stamp === this.#seen && stamp !== this.#applied) this.#read(stamp);
    this.#seen = stamp;
  }

  #stamp(): string {
    const { configPath } = this.#settings;
    const found = configPath === undefined ? undefined : statSync(configPath, { throwIfNoEntry: false });
    return found ? `${found.mtimeMs} ${found.size} ${found.ino}` : GONE;
  }

  /** What cannot be applied leaves everything as it is. */
  #read(stamp: string): void {
    const { configPath, log } = this.#settings;
    this.#applied = this.#seen = stamp;
    if (configPath === undefined) return;
    try {
      const text = stamp === GONE ? "" : readFileSync(configPath, "utf8");
      this.#apply(logsOf(configPath, text));
      this.#hash = createHash("sha256").update(text).digest().readUInt32BE();
      this.#appliedAt = Number(this.#settings.now() / 1_000_000n) / 1000;
    } catch (error) {
      log.error("the configuration of flow logs is not taken over", { file: configPath, error: errorText(error) });
    }
  }

  #apply(logs: readonly FlowLog[]): void {
    const next = new Map<string, Open>();
    for (const each of logs) {
      const text = textOf(each);
      const before = this.#open.get(each.name);
      if (before?.text === text) {
        next.set(each.name, before);
        continue;
      }
      if (before) this.#end(before.exporter);
      next.set(each.name, { log: each, text, exporter: this.#exporterOf(each) });
      this.#note(before ? "update" : "add");
    }
    for (const [name, { exporter }] of this.#open) {
      if (next.has(name)) continue;
      this.#end(exporter);
      this.#note("remove");
    }
    this.#open = next;
    this.#gather();
  }

  #gather(): void {
    this.#all = [...(this.#fixed ? [this.#fixed] : []), ...[...this.#open.values()].map(({ exporter }) => exporter)];
  }

  #note(op: "add" | "update" | "remove"): void {
    this.#changes.set(op, (this.#changes.get(op) ?? 0) + 1);
  }

  #end(exporter: FlowExporter): void {
    this.#closing.push(exporter.close());
  }

  #exporterOf(log: FlowLog): FlowExporter {
    const { nodeName, now, log: logger } = this.#settings;
    const onError = (error: unknown): void =>
      logger.error("flows are not written", { file: log.filePath, error: errorText(error) });
    const { include, exclude, fieldMask, fieldAggregate = [], aggregationMs = 0, end } = log;
    const aggregation = { fieldAggregate, aggregationMs };
    const options = { include, exclude, fieldMask, ...aggregation, ...(end === undefined ? {} : { end }) };
    return new FlowExporter({ ...options, nodeName, now, sink: this.#sinkOf(log, onError), onError });
  }

  #sinkOf({ filePath, maxBytes, maxBackups, compress }: FlowLog, onError: (error: unknown) => void): LineSink {
    const { stdout, now } = this.#settings;
    if (filePath === "stdout") return { write: stdout, close: () => Promise.resolve() };
    return new RotatingFile({
      path: filePath,
      ...(maxBytes === undefined ? {} : { maxBytes }),
      ...(maxBackups === undefined ? {} : { maxBackups }),
      ...(compress === true ? { compress } : {}),
      ...{ now: () => Number(now() / 1_000_000n), onError },
    });
  }

  /** Under Cilium's names, where there are dynamic outputs. */
  register(registry: Registry): void {
    const registers = [registry];
    if (this.#fixed || this.#settings.configPath !== undefined) this.#registerLost(registry);
    if (this.#settings.configPath === undefined) return;
    const [open, changes] = [(): Iterable<Open> => this.#open.values(), this.#changes];
    const gauge = (name: string, help: string, labelNames: string[], collect: (this: Gauge) => void): Gauge =>
      new Gauge({ ...{ name: `hubble_dynamic_exporter_${name}`, help, labelNames, registers, collect } });
    gauge("exporters_total", "Number of configured exporters", ["status"], function () {
      const active = [...open()].filter(({ exporter }) => exporter.isActive).length;
      this.set({ status: "active" }, active);
      this.set({ status: "inactive" }, [...open()].length - active);
    });
    gauge("up", "Status of an exporter: 1 active, 0 not", ["name"], function () {
      this.reset();
      for (const { log, exporter } of open()) this.set({ name: log.name }, exporter.isActive ? 1 : 0);
    });
    const [hash, at] = [() => this.#hash, () => this.#appliedAt];
    gauge("config_hash", "Hash of the configuration that was applied last", [], function () {
      this.set(hash());
    });
    gauge("config_last_applied", "When that was, in seconds since 1970", [], function () {
      this.set(at());
    });
    const reconfigurations = new Counter({
      ...{ name: "hubble_dynamic_exporter_reconfigurations_total", help: "Number of changes of exporters" },
      ...{ labelNames: ["op"], registers: [] },
      collect() {
        this.reset();
        for (const op of ["add", "update", "remove"]) this.inc({ op }, changes.get(op) ?? 0);
      },
    });
    registry.registerMetric(reconfigurations);
  }

  #registerLost(registry: Registry): void {
    const all = (): readonly FlowExporter[] => this.#all;
    const gauge = new Gauge({
      ...{ name: "skep_flow_logs_lost", help: "Lines that the files of flows that are written now did not take" },
      registers: [],
      collect() {
        this.set(all().reduce((sum, { lost }) => sum + lost, 0));
      },
    });
    registry.registerMetric(gauge);
  }

  async close(): Promise<void> {
    for (const exporter of this.#all) this.#end(exporter);
    this.#all = [];
    await Promise.all(this.#closing);
  }
}

/** Throws FlowLogError. */
function logsOf(file: string, text: string): FlowLog[] {
  const { documents, diagnostics } = parseYaml(file, text);
  const [wrong] = diagnostics;
  if (wrong) throw new FlowLogError(`${file}:${wrong.span?.line ?? 1}: ${wrong.message}`);
  if (documents.length > 1) throw new FlowLogError(`${file}: more than one document`);
  return flowLogsOf(documents[0] ? toValue(documents[0].root) : null);
}
