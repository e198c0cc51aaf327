/**
 * @module
 * Cilium's configuration of flow logs (`hubble-flowlogs-config-path`): several outputs by name, each with filters, fields, an end and a file.
 */
import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { flow } from "@skep/api";
import { EvaluationError, durationOf } from "../filter/cel/operations.ts";
import { compileFilters } from "../filter/filter.ts";
import { compileMask } from "../filter/mask.ts";

/** A configuration of flow logs cannot be. */
export class FlowLogError extends Error {
  override readonly name = "FlowLogError";
}

export interface FlowLog {
  readonly name: string;
  /** `stdout`: the agent's own output. */
  readonly filePath: string;
  readonly fieldMask: readonly string[];
  /** Flows that are alike in these are written as one, with counts. */
  readonly fieldAggregate?: readonly string[];
  /** Of those, in milliseconds. */
  readonly aggregationMs?: number;
  readonly include: readonly flow.FlowFilter[];
  readonly exclude: readonly flow.FlowFilter[];
  /** Nanoseconds since 1970. */
  readonly end?: bigint;
  /** Of one file. Default 10 MiB. */
  readonly maxBytes?: number;
  /** Default 5. */
  readonly maxBackups?: number;
  readonly compress?: boolean;
}

type Loose = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Loose =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const KEYS = [
  ...["name", "filePath", "fieldMask", "includeFilters", "excludeFilters", "end"],
  ...["fieldAggregate", "aggregationInterval"],
  ...["fileMaxSizeMb", "fileMaxBackups", "fileCompress"],
];

function listOf(of: Loose, key: string, where: string): readonly unknown[] {
  const value = of[key] ?? [];
  if (!Array.isArray(value)) throw new FlowLogError(`${where}: ${key} is a list`);
  return value;
}

function numberOf(of: Loose, key: string, where: string): number | undefined {
  const value = of[key];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0)
    throw new FlowLogError(`${where}: ${key} is a whole number, not ${JSON.stringify(value)}`);
  return value;
}

function filtersOf(of: Loose, key: string, where: string): flow.FlowFilter[] {
  return listOf(of, key, where).map((each) => {
    try {
      return fromJson(flow.FlowFilterSchema, each as JsonValue);
    } catch (cause) {
      throw new FlowLogError(
        `${where}: ${key}: ${JSON.stringify(each)} is no flow filter: ${cause instanceof Error ? cause.message : String(cause)}`,
        { cause },
      );
    }
  });
}

function endOf(of: Loose, where: string): bigint | undefined {
  const value = of["end"];
  if (value === undefined || value === null || value === "") return undefined;
  const time = Date.parse(typeof value === "string" ? value : "");
  if (Number.isNaN(time))
    throw new FlowLogError(`${where}: end is a time such as 2026-10-09T23:59:59-07:00, not ${JSON.stringify(value)}`);
  return BigInt(time) * 1_000_000n;
}

/** Throws FlowLogError where filters or fields are none. */
export function checkFlowLog(log: FlowLog, where: string): void {
  try {
    compileFilters(log.include, log.exclude);
    compileMask(flow.FlowSchema, log.fieldMask);
    compileMask(flow.FlowSchema, log.fieldAggregate ?? []);
  } catch (cause) {
    throw new FlowLogError(`${where}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
  const [fields, milliseconds] = [log.fieldAggregate?.length ?? 0, log.aggregationMs ?? 0];
  if (milliseconds > 0 && fields === 0) throw new FlowLogError(`${where}: an aggregationInterval needs fieldAggregate`);
  if (milliseconds === 0 && fields > 0) throw new FlowLogError(`${where}: fieldAggregate needs an aggregationInterval`);
  if (milliseconds > MAX_AGGREGATION_MS) throw new FlowLogError(`${where}: an aggregationInterval is at most 24h`);
}

const MAX_AGGREGATION_MS = 86_400_000;

/** As Go writes durations: `30s`, `1m30s`. */
function intervalOf(of: Loose, where: string): number {
  const value = of["aggregationInterval"] ?? "0s";
  try {
    const milliseconds = Number(durationOf(typeof value === "string" ? value : "").nanoseconds) / 1e6;
    if (milliseconds >= 0) return Math.ceil(milliseconds);
  } catch (error) {
    if (!(error instanceof EvaluationError)) throw error;
  }
  throw new FlowLogError(`${where}: aggregationInterval is a duration such as 30s, not ${JSON.stringify(value)}`);
}

function flowLogOf(value: unknown, at: number): FlowLog {
  if (!isObject(value)) throw new FlowLogError(`flowLogs[${at}] is a map`);
  const { name, filePath } = value;
  if (typeof name !== "string" || name === "") throw new FlowLogError(`flowLogs[${at}] has no name`);
  const where = `flow log ${name}`;
  if (typeof filePath !== "string" || filePath === "") throw new FlowLogError(`${where} has no filePath`);
  const unknown = Object.keys(value).find((key) => !KEYS.includes(key));
  if (unknown !== undefined) throw new FlowLogError(`${where}: ${unknown} is none of ${KEYS.join(", ")}`);
  const fieldMask = listOf(value, "fieldMask", where).map(String);
  const [end, megabytes] = [endOf(value, where), numberOf(value, "fileMaxSizeMb", where)];
  const maxBackups = numberOf(value, "fileMaxBackups", where);
  const log: FlowLog = {
    ...{ name, filePath, fieldMask },
    fieldAggregate: listOf(value, "fieldAggregate", where).map(String),
    aggregationMs: intervalOf(value, where),
    include: filtersOf(value, "includeFilters", where),
    exclude: filtersOf(value, "excludeFilters", where),
    ...(end === undefined ? {} : { end }),
    ...(megabytes === undefined ? {} : { maxBytes: megabytes << 20 }),
    ...(maxBackups === undefined ? {} : { maxBackups }),
    ...(value["fileCompress"] === true ? { compress: true } : {}),
  };
  checkFlowLog(log, where);
  return log;
}

/** `{flowLogs: [{name, filePath, ...}]}` as parsed YAML. Throws FlowLogError, which names the output. */
export function flowLogsOf(value: unknown): FlowLog[] {
  if (value === null || value === undefined) return [];
  if (!isObject(value)) throw new FlowLogError("a configuration of flow logs is a map with flowLogs");
  const logs = listOf(value, "flowLogs", "the configuration").map(flowLogOf);
  for (const [key, of] of [
    ["name", (log: FlowLog) => log.name],
    ["filePath", (log: FlowLog) => log.filePath],
  ] as const) {
    const twice = logs.find((log, at) => logs.findIndex((each) => of(each) === of(log)) !== at);
    if (twice) throw new FlowLogError(`two flow logs have the ${key} ${of(twice)}`);
  }
  return logs;
}

/** Filters in JSON one after the other, as `--allowlist` takes them: `{"verdict":["DROPPED"]} {"source_pod":["default/"]}`. Throws FlowLogError. */
export function parseFilters(text: string): flow.FlowFilter[] {
  return splitJson(text).map((each) => {
    try {
      return fromJson(flow.FlowFilterSchema, JSON.parse(each) as JsonValue);
    } catch (cause) {
      throw new FlowLogError(`"${each}" is not a flow filter in JSON, such as {"verdict":["DROPPED"]}`, { cause });
    }
  });
}

/** Objects that follow each other, with or without white space. */
function splitJson(json: string): string[] {
  const found: string[] = [];
  let [depth, start, isQuoted] = [0, -1, false];
  for (let at = 0; at < json.length; at++) {
    const each = json[at];
    if (isQuoted) {
      if (each === "\\") at += 1;
      else if (each === '"') isQuoted = false;
    } else if (each === '"') isQuoted = true;
    else if (each === "{" && depth++ === 0) start = at;
    else if (each === "}" && --depth === 0) found.push(json.slice(start, at + 1));
  }
  return found.length === 0 || depth !== 0 ? [json] : found;
}
