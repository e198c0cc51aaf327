/**
 * @module
 * `skep flows`: the history on disk, of the agent or of a folder that no agent uses: SQL, and Hubble's JSON lines out of it and into it.
 */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { observer } from "@skep/api";
import { History, HistoryEngineError, HistoryTakenError, jsonLine, QueryError } from "@skep/flows";
import { type AgentClient, withClient } from "../client.ts";
import { usageError } from "../errors.ts";
import { readFlows } from "../observe/file.ts";
import { timeOption } from "../output/duration.ts";
import { note, write } from "../output/print.ts";
import { formatPairs, formatTable } from "../output/table.ts";

export interface FlowsOptions {
  readonly run: string;
  /** A folder of a history; else the agent's. */
  readonly history?: string;
}

export const queryFormats = ["table", "json", "csv"] as const;

export interface QueryOptions extends FlowsOptions {
  readonly output: (typeof queryFormats)[number];
  readonly maxRows: number;
}

async function ofFolder<T>(folder: string, use: (history: History) => Promise<T>): Promise<T> {
  try {
    const now = (): bigint => BigInt(Date.now()) * 1_000_000n;
    const history = await History.open({
      folder,
      nodeName: "",
      now,
      maxBytes: Number.MAX_SAFE_INTEGER,
      maxAgeSeconds: 1e12,
    });
    try {
      return await use(history);
    } finally {
      await history.close();
    }
  } catch (error) {
    const isAsked =
      error instanceof HistoryEngineError || error instanceof HistoryTakenError || error instanceof QueryError;
    if (isAsked) throw usageError(error.message, { cause: error });
    throw error;
  }
}

interface Result {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly unknown[])[];
  readonly truncated: boolean;
}

async function ofAgent(client: AgentClient, sql: string, maxRows: number): Promise<Result> {
  let [columns, truncated]: [string[], boolean] = [[], false];
  const rows: unknown[][] = [];
  for await (const part of client.flows.queryHistory({ sql, maxRows })) {
    if (part.columns.length > 0) ({ columns, truncated } = part);
    rows.push(...part.rows.map((row) => JSON.parse(row) as unknown[]));
  }
  return { columns, rows, truncated };
}

const cellText = (value: unknown): string =>
  value === null || value === undefined ? "" : typeof value === "string" ? value : JSON.stringify(value);

/** RFC 4180. */
const csvCell = (value: unknown): string => {
  const text = cellText(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

function textOf({ columns, rows }: Result, format: QueryOptions["output"]): string {
  switch (format) {
    case "csv":
      return [columns, ...rows].map((row) => `${row.map(csvCell).join(",")}\r\n`).join("");
    case "json":
      return rows
        .map((row) => `${JSON.stringify(Object.fromEntries(columns.map((name, at) => [name, row[at]])))}\n`)
        .join("");
    case "table":
      return formatTable(
        columns,
        rows.map((row) => row.map(cellText)),
      );
  }
}

export async function flowsQuery(sql: string, options: QueryOptions): Promise<void> {
  const { history, maxRows, run, output } = options;
  const result =
    history === undefined
      ? await withClient(run, (client) => ofAgent(client, sql, maxRows))
      : await ofFolder(history, (opened) => opened.query(sql, maxRows));
  await write(textOf(result, output));
  if (result.truncated) note(`there are more rows than ${maxRows}: --max-rows`);
}

export async function flowsStatus(options: FlowsOptions): Promise<void> {
  const { history, run } = options;
  const found =
    history === undefined
      ? await withClient(run, (client) => client.flows.getHistory({}))
      : await ofFolder(history, (opened) => opened.status());
  const time = (at: typeof found.oldest): string => (at ? new Date(Number(at.seconds) * 1000).toISOString() : "none");
  await write(
    formatPairs([
      ["in memory", `${found.ringFlows} flows, ${found.ringBytes} bytes`],
      ["folder", found.directory === "" ? "none: no history is kept on disk" : found.directory],
      ["on disk", `${found.flows} flows, ${found.bytes} bytes`],
      ["not flushed", `${found.unflushed} flows: what a crash loses`],
      ["lost", `${found.lost} flows`],
      ["oldest", time(found.oldest)],
      ["newest", time(found.newest)],
      ...(found.error === "" ? [] : [["error", found.error] as const]),
    ]),
  );
}

export interface ExportOptions extends FlowsOptions {
  readonly since?: string;
  readonly until?: string;
}

/** Hubble's JSON lines, as an exporter writes them. */
export async function flowsExport(options: ExportOptions): Promise<void> {
  const { since, until, history, run } = options;
  const moment = (text: string) => timestampFromMs(timeOption(text, Date.now()));
  const request = create(observer.GetFlowsRequestSchema, {
    since: since === undefined ? timestampFromMs(0) : moment(since),
    ...(until === undefined ? {} : { until: moment(until) }),
  });
  const print = async (responses: AsyncIterable<observer.GetFlowsResponse>): Promise<void> => {
    for await (const each of responses) await write(`${jsonLine(observer.GetFlowsResponseSchema, each)}\n`);
  };
  if (history === undefined) await withClient(run, (client) => print(client.observer.getFlows(request)));
  else await ofFolder(history, (opened) => print(opened.flows(request, new AbortController().signal)));
}

/** Into a folder that no agent uses. */
export async function flowsImport(file: string, options: { readonly history: string }): Promise<void> {
  const flows = await readFlows(file);
  await ofFolder(options.history, async (history) => {
    for (const [at, each] of flows.entries()) {
      history.add(each);
      if (at % 100_000 === 99_999) await history.flush();
    }
    await history.flush();
    const { error, lost } = await history.status();
    if (error !== "") throw usageError(`${lost} flows could not be written: ${error}`);
  });
  note(`${flows.length} flows`);
}
