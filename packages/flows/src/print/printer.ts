import { flow, observer, relay } from "@skep/api";
import { jsonLine } from "../json.ts";
import { enumName } from "../names/enums.ts";
import { escapeTerminal, noPaint, terminalPaint } from "./color.ts";
import { type DescribeOptions, endName, identityText, summaryText, typeText, verdictText } from "./describe.ts";
import { formatTime, type TimeFormat } from "./time.ts";

export const outputFormats = ["compact", "dict", "json", "jsonpb", "tab", "table"] as const;
export type OutputFormat = (typeof outputFormats)[number];

export interface PrintOptions {
  readonly format: OutputFormat;
  readonly color?: boolean;
  /** Addresses instead of names. */
  readonly numeric?: boolean;
  readonly timeFormat?: TimeFormat;
  readonly nodeName?: boolean;
  readonly policyNames?: boolean;
  /** `table` shows rows as they come, each batch with the widths seen so far. */
  readonly streaming?: boolean;
}

/** Turns responses into text. What is not a flow comes from `notice`: it belongs on stderr, but for JSON. */
export interface Printer {
  print(response: observer.GetFlowsResponse): { readonly out: string; readonly notice: string };
  /** Rows that were held back for their columns. */
  flush(): string;
}

type FlowText = (message: flow.Flow) => string;

interface Fields {
  readonly timestamp: FlowText;
  readonly node: FlowText;
  readonly source: FlowText;
  readonly destination: FlowText;
  readonly type: FlowText;
  readonly verdict: FlowText;
  readonly summary: FlowText;
}

function describeOptions(options: PrintOptions): DescribeOptions {
  return {
    translate: options.numeric !== true,
    policyNames: options.policyNames === true,
    paint: options.color === true ? terminalPaint : noPaint,
  };
}

function fieldsOf(options: PrintOptions): Fields {
  const describe = describeOptions(options);
  const format = options.timeFormat ?? "StampMilli";
  return {
    timestamp: (message) => formatTime(message.time, format),
    node: (message) => escapeTerminal(message.nodeName),
    source: (message) => endName(message, "source", describe),
    destination: (message) => endName(message, "destination", describe),
    type: typeText,
    verdict: (message) => verdictText(message, describe),
    summary: summaryText,
  };
}

function compactText(options: PrintOptions): FlowText {
  const fields = fieldsOf(options);
  const { paint } = describeOptions(options);
  return (message) => {
    const left = `${fields.source(message)} ${identityText(message.source, paint)}`;
    const right = `${fields.destination(message)} ${identityText(message.destination, paint)}`;
    // A reply is shown in the direction of its connection.
    const ends =
      message.isReply === undefined
        ? `${left} <> ${right}`
        : message.isReply
          ? `${right} <- ${left}`
          : `${left} -> ${right}`;
    const node = options.nodeName === true ? ` [${fields.node(message)}]` : "";
    return `${fields.timestamp(message)}${node}: ${ends} ${fields.type(message)} ${fields.verdict(message)} (${fields.summary(message)})\n`;
  };
}

type Column = readonly [header: string, text: FlowText];

function columnsOf(options: PrintOptions): Column[] {
  const fields = fieldsOf(options);
  return [
    ["TIMESTAMP", fields.timestamp],
    ...(options.nodeName === true ? [["NODE", fields.node] as const] : []),
    ["SOURCE", fields.source],
    ["DESTINATION", fields.destination],
    ["TYPE", fields.type],
    ["VERDICT", fields.verdict],
    ["SUMMARY", fields.summary],
  ];
}

function dictText(options: PrintOptions): FlowText {
  const columns = columnsOf(options);
  const width = Math.max(...columns.map(([header]) => header.length));
  let printed = 0;
  return (message) => {
    const lines = columns.map(([header, text]) => `${header.padStart(width)}: ${text(message)}\n`).join("");
    printed += 1;
    return printed === 1 ? lines : `------------\n${lines}`;
  };
}

/** Width on the terminal: paint does not count, and a character counts once. */
function widthOf(cell: string): number {
  // oxlint-disable-next-line no-control-regex
  return [...cell.replace(/\u001b\[\d+m/g, "")].length;
}

const GAP = 3;

class TablePrinter implements Printer {
  readonly #columns: readonly Column[];
  readonly #widths: number[];
  readonly #notice: (response: observer.GetFlowsResponse) => string;
  #rows: string[][];

  constructor(options: PrintOptions) {
    this.#columns = columnsOf(options);
    this.#widths = this.#columns.map(() => 0);
    this.#notice = noticeText(options);
    this.#rows = [];
    this.#add(this.#columns.map(([header]) => header));
  }

  #add(cells: string[]): void {
    cells.forEach((cell, at) => (this.#widths[at] = Math.max(this.#widths[at] ?? 0, widthOf(cell))));
    this.#rows.push(cells);
  }

  print(response: observer.GetFlowsResponse): { out: string; notice: string } {
    const message = flowOf(response);
    if (message) this.#add(this.#columns.map(([, text]) => text(message)));
    return { out: "", notice: this.#notice(response) };
  }

  flush(): string {
    const last = this.#columns.length - 1;
    const line = (cells: readonly string[]): string =>
      cells
        .map((cell, at) => (at === last ? cell : cell + " ".repeat((this.#widths[at] ?? 0) + GAP - widthOf(cell))))
        .join("");
    const text = this.#rows.map((cells) => `${line(cells)}\n`).join("");
    this.#rows = [];
    return text;
  }
}

function flowOf(response: observer.GetFlowsResponse): flow.Flow | null {
  return response.responseTypes.case === "flow" ? response.responseTypes.value : null;
}

const nodeStates: Readonly<Record<number, string>> = {
  [relay.NodeState.NODE_CONNECTED]: "connected",
  [relay.NodeState.NODE_UNAVAILABLE]: "unavailable",
  [relay.NodeState.NODE_GONE]: "gone",
  [relay.NodeState.NODE_ERROR]: "error",
};

/** What is not a flow, as one line; "" for a flow. */
function noticeText(options: PrintOptions): (response: observer.GetFlowsResponse) => string {
  const format = options.timeFormat ?? "StampMilli";
  return (response) => {
    const { responseTypes } = response;
    if (responseTypes.case === "lostEvents") {
      const lost = responseTypes.value;
      const source = enumName(flow.LostEventSourceSchema, lost.source) ?? `${lost.source}`;
      const cpu = lost.cpu === undefined ? "" : ` CPU(${lost.cpu})`;
      return `EVENTS LOST: ${source}${cpu} ${lost.numEventsLost}\n`;
    }
    if (responseTypes.case === "nodeStatus") {
      const status = responseTypes.value;
      const state = nodeStates[status.stateChange] ?? `state ${status.stateChange}`;
      const because = status.message === "" ? "" : `: ${escapeTerminal(status.message)}`;
      return `${formatTime(response.time, format)}: ${status.nodeNames.map(escapeTerminal).join(", ")} ${state}${because}\n`;
    }
    return "";
  };
}

function linePrinter(text: FlowText, options: PrintOptions): Printer {
  const notice = noticeText(options);
  return {
    print(response) {
      const message = flowOf(response);
      return { out: message ? text(message) : "", notice: notice(response) };
    },
    flush: () => "",
  };
}

/** Makes a printer; one per output, as some formats remember what they have printed. */
export function createPrinter(options: PrintOptions): Printer {
  switch (options.format) {
    case "compact":
      return linePrinter(compactText(options), options);
    case "dict":
      return linePrinter(dictText(options), options);
    case "tab":
    case "table":
      return new TablePrinter(options);
    case "json":
    case "jsonpb":
      return {
        print: (response) => ({ out: `${jsonLine(observer.GetFlowsResponseSchema, response)}\n`, notice: "" }),
        flush: () => "",
      };
  }
}
