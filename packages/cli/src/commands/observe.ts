/**
 * @module
 * `skep observe`: flows from the agent or from a file, printed as `hubble observe` prints them.
 */
import { create } from "@bufbuild/protobuf";
import { type Timestamp, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { flow, observer } from "@skep/api";
import { createPrinter, jsonLine, type OutputFormat, type Printer, type TimeFormat } from "@skep/flows";
import { type FlowSource, withObserver } from "../client.ts";
import { usageError } from "../errors.ts";
import { flowsOfFile } from "../observe/file.ts";
import { agentEventText } from "../observe/agent-events.ts";
import type { FilterBuilder } from "../observe/filters.ts";
import { timeOption } from "../output/duration.ts";
import { untilInterrupted } from "../output/interrupt.ts";
import { hasColor, note, write } from "../output/print.ts";

export interface ObserveOptions extends FlowSource {
  readonly what: string;
  readonly follow?: boolean;
  readonly last?: number;
  readonly first?: number;
  readonly all?: boolean;
  readonly since?: string;
  readonly until?: string;
  readonly inputFile?: string;
  readonly output: OutputFormat;
  readonly color: "auto" | "always" | "never";
  readonly timeFormat: TimeFormat;
  readonly numeric?: boolean;
  readonly ipTranslation?: "true" | "false";
  readonly printNodeName?: boolean;
  readonly printPolicyNames?: boolean;
  readonly fieldMask?: string;
  readonly experimentalFieldMask?: string;
  readonly silentErrors?: boolean;
  readonly printRawFilters?: boolean;
}

const DEFAULT_LAST = 20;
/** Rows of a table that follows wait this long for others to line up with. */
const TABLE_MS = 100;

function moment(text: string | undefined): Timestamp | undefined {
  return text === undefined ? undefined : timestampFromMs(timeOption(text, Date.now()));
}

function checkSelection(options: ObserveOptions): void {
  if (options.first !== undefined && options.last !== undefined)
    throw usageError("--first and --last exclude each other");
  if (options.first !== undefined && options.follow === true)
    throw usageError("--first and --follow exclude each other");
  if (options.all === true && (options.first ?? options.last) !== undefined) {
    throw usageError("--all excludes --first and --last");
  }
  if (options.inputFile !== undefined && options.follow === true) throw usageError("a file cannot be followed");
}

interface Range {
  readonly number: bigint;
  readonly first: boolean;
  readonly follow: boolean;
  readonly since?: Timestamp;
  readonly until?: Timestamp;
}

function rangeOf(options: ObserveOptions): Range {
  checkSelection(options);
  const since = moment(options.since);
  const until = moment(options.until);
  const asked = options.first ?? options.last;
  const isOpen =
    options.all === true ||
    options.follow === true ||
    since !== undefined ||
    until !== undefined ||
    options.inputFile !== undefined;
  return {
    number: BigInt(asked ?? (isOpen ? 0 : DEFAULT_LAST)),
    first: options.first !== undefined,
    follow: options.follow === true,
    ...(since && { since }),
    ...(until && { until }),
  };
}

function requestOf(options: ObserveOptions, builder: FilterBuilder): observer.GetFlowsRequest {
  const { allow, deny } = builder.build();
  const mask = options.fieldMask ?? options.experimentalFieldMask;
  const paths = mask === undefined ? [] : mask.split(",").map((path) => path.trim());
  return create(observer.GetFlowsRequestSchema, {
    ...rangeOf(options),
    whitelist: allow,
    blacklist: deny,
    ...(paths.length > 0 && { fieldMask: { paths } }),
  });
}

function printerOf(options: ObserveOptions): Printer {
  return createPrinter({
    format: options.output,
    color: options.color === "always" || (options.color === "auto" && hasColor()),
    numeric: options.numeric === true || options.ipTranslation === "false",
    timeFormat: options.timeFormat,
    nodeName: options.printNodeName === true,
    policyNames: options.printPolicyNames === true,
  });
}

async function printFlows(responses: AsyncIterable<observer.GetFlowsResponse>, options: ObserveOptions): Promise<void> {
  const printer = printerOf(options);
  let timer: NodeJS.Timeout | undefined;
  const flush = (): void => {
    timer = undefined;
    void write(printer.flush());
  };
  try {
    for await (const response of responses) {
      const { out, notice } = printer.print(response);
      if (notice !== "" && options.silentErrors !== true) process.stderr.write(notice);
      await write(out);
      if (options.follow === true) timer ??= setTimeout(flush, TABLE_MS);
    }
  } finally {
    clearTimeout(timer);
    await write(printer.flush());
  }
}

/** As `hubble observe --print-raw-filters` does: what --allowlist and --denylist take. */
function rawFilters(request: observer.GetFlowsRequest): string {
  const list = (name: string, filters: readonly flow.FlowFilter[]): string =>
    filters.length === 0
      ? ""
      : `${name}:\n${filters.map((filter) => `    - '${jsonLine(flow.FlowFilterSchema, filter).replaceAll("'", "''")}'\n`).join("")}`;
  return list("allowlist", request.whitelist) + list("denylist", request.blacklist);
}

async function observeFlows(options: ObserveOptions, builder: FilterBuilder): Promise<void> {
  const request = requestOf(options, builder);
  if (options.printRawFilters === true) return write(rawFilters(request));
  const file = options.inputFile;
  if (file !== undefined) return printFlows(flowsOfFile(file, request), options);
  await withObserver(options, ({ observer: client }) =>
    untilInterrupted((signal) => printFlows(client.getFlows(request, { signal }), options)),
  );
}

async function observeAgentEvents(options: ObserveOptions): Promise<void> {
  const range = rangeOf(options);
  await withObserver(options, ({ observer: client }) =>
    untilInterrupted(async (signal) => {
      for await (const event of client.getAgentEvents(range, { signal })) await write(agentEventText(event, options));
    }),
  );
}

async function observeDebugEvents(options: ObserveOptions): Promise<void> {
  const range = rangeOf(options);
  await withObserver(options, ({ observer: client }) =>
    untilInterrupted(async (signal) => {
      for await (const event of client.getDebugEvents(range, { signal })) {
        await write(`${jsonLine(observer.GetDebugEventsResponseSchema, event)}\n`);
      }
    }),
  );
}

export function observe(options: ObserveOptions, builder: FilterBuilder): Promise<void> {
  switch (options.what) {
    case "flows":
      return observeFlows(options, builder);
    case "agent-events":
      return observeAgentEvents(options);
    case "debug-events":
      note("this datapath has no debug events");
      return observeDebugEvents(options);
    default:
      throw usageError(`there is no "${options.what}" to observe: flows, agent-events or debug-events`);
  }
}
