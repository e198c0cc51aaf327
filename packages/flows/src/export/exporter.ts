/**
 * @module
 * Flows as JSON lines, as Cilium's exporter writes them: those that the filters let through, and of each the fields that the mask names.
 */
import { create } from "@bufbuild/protobuf";
import { flow, observer } from "@skep/api";
import { timestampOf } from "../decode/flow.ts";
import type { FlowRecord } from "../decode/record.ts";
import { compileFilters } from "../filter/filter.ts";
import { compileMask } from "../filter/mask.ts";
import { jsonLine } from "../json.ts";
import { Aggregator } from "./aggregator.ts";

/** Where lines go. */
export interface LineSink {
  /** Whole lines. Throws where they cannot be taken. */
  write(text: string): void;
  close(): Promise<void>;
}

export interface FlowExporterOptions {
  readonly include?: readonly flow.FlowFilter[];
  readonly exclude?: readonly flow.FlowFilter[];
  /** As `source.pod_name`; none: all fields. */
  readonly fieldMask?: readonly string[];
  /** Flows that are alike in these fields are written as one, with counts; none: each is written. */
  readonly fieldAggregate?: readonly string[];
  /** Milliseconds for which flows gather; 0: each is written. */
  readonly aggregationMs?: number;
  /** Nanoseconds since 1970: nothing is written from then on, but for what had gathered. */
  readonly end?: bigint;
  readonly nodeName: string;
  /** Nanoseconds since 1970. */
  readonly now: () => bigint;
  readonly sink: LineSink;
  /** The first line that the sink did not take; told again after one that it did. */
  readonly onError?: (error: unknown) => void;
}

/** Lines wait so long for others, in milliseconds; and no more characters do. */
const GATHER_MS = 100;
const GATHER_TEXT = 256 << 10;
/** So many different flows gather; then they are written before their time. */
const MAX_GROUPS = 16_384;

export class FlowExporter {
  readonly #options: FlowExporterOptions;
  readonly #matches: (message: flow.Flow) => boolean;
  readonly #mask: (message: flow.Flow) => flow.Flow;
  readonly #isFiltered: boolean;
  readonly #aggregator: Aggregator | null;
  #aggregation: NodeJS.Timeout | null = null;
  #text = "";
  #lines = 0;
  #written = 0;
  #lost = 0;
  #isFailing = false;
  #timer: NodeJS.Timeout | null = null;

  /** Throws FilterError. */
  constructor(options: FlowExporterOptions) {
    this.#options = options;
    const { include = [], exclude = [], fieldMask = [], fieldAggregate = [], aggregationMs = 0 } = options;
    this.#aggregator = fieldAggregate.length > 0 && aggregationMs > 0 ? new Aggregator(fieldAggregate) : null;
    this.#matches = compileFilters(include, exclude);
    this.#isFiltered = include.length > 0;
    this.#mask = compileMask<flow.Flow>(flow.FlowSchema, fieldMask);
  }

  /** Lines that the sink took. */
  get written(): number {
    return this.#written;
  }

  /** Lines that it did not take. */
  get lost(): number {
    return this.#lost;
  }

  /** False from its end on. */
  get isActive(): boolean {
    const { end, now } = this.#options;
    return end === undefined || now() < end;
  }

  add(record: FlowRecord): void {
    if (!this.isActive || !this.#matches(record.flow)) return;
    if (this.#aggregator) this.#gather(this.#aggregator, record);
    else this.#put({ case: "flow", value: this.#mask(record.flow) }, record.nodeName, record.time);
  }

  #gather(aggregator: Aggregator, record: FlowRecord): void {
    aggregator.add(record);
    if (aggregator.size >= MAX_GROUPS) this.#putGathered();
    else this.#aggregation ??= setTimeout(() => this.#putGathered(), this.#options.aggregationMs).unref();
  }

  #putGathered(): void {
    if (this.#aggregation) clearTimeout(this.#aggregation);
    this.#aggregation = null;
    for (const { message, nodeName, time } of this.#aggregator?.take() ?? []) {
      const value = this.#mask(message);
      // The counts are what it is written for: no mask takes them away.
      if (message.aggregate) value.aggregate = message.aggregate;
      this.#put({ case: "flow", value }, nodeName, time);
    }
  }

  /** What is no flow is in no filter that includes. */
  addLoss(source: flow.LostEventSource, numEventsLost: bigint): void {
    if (!this.isActive || this.#isFiltered) return;
    const value = create(flow.LostEventSchema, { source, numEventsLost });
    this.#put({ case: "lostEvents", value }, this.#options.nodeName, this.#options.now());
  }

  addAgentEvent(value: flow.AgentEvent): void {
    if (!this.isActive || this.#isFiltered) return;
    this.#put({ case: "agentEvent", value }, this.#options.nodeName, this.#options.now());
  }

  #put(responseTypes: observer.ExportEvent["responseTypes"], nodeName: string, time: bigint): void {
    const event = create(observer.ExportEventSchema, { responseTypes, nodeName, time: timestampOf(time) });
    this.#text += `${jsonLine(observer.ExportEventSchema, event)}\n`;
    this.#lines += 1;
    if (this.#text.length >= GATHER_TEXT) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), GATHER_MS).unref();
  }

  /** Gives what has gathered to the sink. */
  flush(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    const [text, lines] = [this.#text, this.#lines];
    if (lines === 0) return;
    [this.#text, this.#lines] = ["", 0];
    try {
      this.#options.sink.write(text);
      this.#written += lines;
      this.#isFailing = false;
    } catch (error) {
      this.#lost += lines;
      if (!this.#isFailing) this.#options.onError?.(error);
      this.#isFailing = true;
    }
  }

  /** Writes what has gathered. */
  close(): Promise<void> {
    this.#putGathered();
    this.flush();
    return this.#options.sink.close();
  }
}
