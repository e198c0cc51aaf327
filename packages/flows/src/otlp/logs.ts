/**
 * @module
 * Flows as log records of OpenTelemetry. They wait in a queue that is bounded: what it has no room for, and what the collector does not take, is
 * counted.
 */
import { flow } from "@skep/api";
import type { FlowRecord } from "../decode/record.ts";
import { jsonLine } from "../json.ts";
import { enumName } from "../names/enums.ts";
import { Sender, type SenderOptions } from "./sender.ts";
import { type Attribute, attributesOf, type Resource, resourceOf } from "./values.ts";

export interface OtlpLogsOptions extends SenderOptions, Resource {
  /** Nanoseconds since 1970. */
  readonly now: () => bigint;
  /** Flows that wait for the collector. Default 16,384. */
  readonly maxPending?: number;
  /** Of one request. Default 1024. */
  readonly maxBatch?: number;
  /** A flow waits so long for others, in milliseconds. Default 1000. */
  readonly batchMs?: number;
  /** The first request that failed; told again after one that did not. */
  readonly onError?: (error: unknown) => void;
}

/** Numbers of the log data model. */
const SEVERITY = { INFO: 9, WARN: 13 } as const;

const portsOf = ({ l4 }: flow.Flow): { readonly sourcePort: number; readonly destinationPort: number } | undefined => {
  const protocol = l4?.protocol;
  return protocol?.case === "TCP" || protocol?.case === "UDP" || protocol?.case === "SCTP" ? protocol.value : undefined;
};

/** Of the semantic conventions where they have a name, else below `cilium`. */
function attributes(message: flow.Flow): Attribute[] {
  const { source, destination, IP: ip } = message;
  const ports = portsOf(message);
  return attributesOf({
    "source.address": ip?.source,
    "source.port": ports?.sourcePort,
    "destination.address": ip?.destination,
    "destination.port": ports?.destinationPort,
    "network.transport": message.l4?.protocol.case?.toLowerCase(),
    "network.type": ip ? (ip.ipVersion === flow.IPVersion.IPv6 ? "ipv6" : "ipv4") : undefined,
    "cilium.flow.uuid": message.uuid,
    "cilium.flow.verdict": enumName(flow.VerdictSchema, message.verdict) ?? String(message.verdict),
    "cilium.flow.drop_reason":
      message.dropReasonDesc === 0 ? undefined : (enumName(flow.DropReasonSchema, message.dropReasonDesc) ?? undefined),
    "cilium.flow.direction": enumName(flow.TrafficDirectionSchema, message.trafficDirection) ?? undefined,
    "cilium.flow.is_reply": message.isReply,
    "cilium.source.namespace": source?.namespace,
    "cilium.source.pod": source?.podName,
    "cilium.source.identity": source?.identity,
    "cilium.destination.namespace": destination?.namespace,
    "cilium.destination.pod": destination?.podName,
    "cilium.destination.identity": destination?.identity,
  });
}

/** A flow as a log record; its body is the flow as `observe -o json` prints it. */
export function logRecordOf({ flow: message, time }: Pick<FlowRecord, "flow" | "time">, observed: bigint): object {
  const isDrop = message.verdict === flow.Verdict.DROPPED || message.verdict === flow.Verdict.ERROR;
  return {
    timeUnixNano: String(time),
    observedTimeUnixNano: String(observed),
    severityNumber: isDrop ? SEVERITY.WARN : SEVERITY.INFO,
    severityText: isDrop ? "WARN" : "INFO",
    eventName: "cilium.flow",
    body: { stringValue: jsonLine(flow.FlowSchema, message) },
    attributes: attributes(message),
  };
}

export class OtlpLogs {
  readonly #options: OtlpLogsOptions;
  readonly #sender: Sender;
  readonly #prefix: string;
  #queue: FlowRecord[] = [];
  #lost = 0;
  #sent = 0;
  #timer: NodeJS.Timeout | null = null;
  #sending: Promise<void> | null = null;
  #inFlight = 0;
  #isFailing = false;

  /** Throws OtlpError for an address that is none. */
  constructor(options: OtlpLogsOptions) {
    this.#options = options;
    this.#sender = new Sender(options, "v1/logs");
    const scope = JSON.stringify({ name: "skep.flows", version: options.version });
    this.#prefix = `{"resourceLogs":[{"resource":${JSON.stringify(resourceOf(options))},"scopeLogs":[{"scope":${scope},"logRecords":`;
  }

  /** Flows that the collector has taken. */
  get sent(): number {
    return this.#sent;
  }

  /** Flows that it does not have: no room, refused, or not to be reached. */
  get lost(): number {
    return this.#lost;
  }

  get waiting(): number {
    return this.#queue.length + this.#inFlight;
  }

  add(record: FlowRecord): void {
    const { maxPending = 16_384, maxBatch = 1024, batchMs = 1000 } = this.#options;
    if (this.waiting >= maxPending) {
      this.#lost += 1;
      return;
    }
    this.#queue.push(record);
    if (this.#sending) return;
    if (this.#queue.length >= maxBatch) void this.flush();
    else this.#timer ??= setTimeout(() => void this.flush(), batchMs).unref();
  }

  /** Sends what waits. Resolves when all of it has been taken or lost. */
  flush(): Promise<void> {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    this.#sending ??= this.#drain().finally(() => (this.#sending = null));
    return this.#sending;
  }

  async #drain(): Promise<void> {
    while (this.#queue.length > 0) {
      const batch = this.#queue.splice(0, this.#options.maxBatch ?? 1024);
      this.#inFlight = batch.length;
      try {
        const observed = this.#options.now();
        const records = batch.map((record) => JSON.stringify(logRecordOf(record, observed))).join(",");
        const rejected = await this.#sender.send(`${this.#prefix}[${records}]}]}]}`);
        this.#sent += batch.length - rejected;
        this.#lost += rejected;
        this.#isFailing = false;
      } catch (error) {
        this.#lost += batch.length;
        if (!this.#isFailing) this.#options.onError?.(error);
        this.#isFailing = true;
      }
      this.#inFlight = 0;
    }
  }

  /** Sends what waits, without patience. */
  async close(): Promise<void> {
    this.#sender.stop();
    await this.flush();
    this.#sender.close();
  }
}
