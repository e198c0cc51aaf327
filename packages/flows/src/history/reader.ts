/**
 * @module
 * Reads a history's files. Queries of others run in an engine of their own that may open nothing but the history's folder, whose settings are
 * locked, and which is asked for SELECT alone.
 */
import { realpathSync } from "node:fs";
import { flow } from "@skep/api";
import type { Row } from "./columns.ts";
import type { DuckDb } from "./duckdb.ts";
import { QueryError, type QueryResult } from "./interface.ts";

const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`;
const QUERY_MS = 30_000;

/** A condition that every flow meets which the filters let through; the filters themselves are asked afterwards. Null: none. */
export function conditionOf(filters: readonly flow.FlowFilter[]): string | null {
  const each = filters.map(conditionOfOne);
  return each.length === 0 || each.includes(null) ? null : `(${each.join(" OR ")})`;
}

function conditionOfOne(filter: flow.FlowFilter): string | null {
  const parts: string[] = [];
  const among = (column: string, values: readonly string[]): void => {
    if (values.length > 0) parts.push(`(${column} IN (${values.map(quoted).join(", ")}) OR rest IS NOT NULL)`);
  };
  among("uuid", filter.uuid);
  among(
    "verdict",
    filter.verdict.map((each) => flow.VerdictSchema.value[each]?.name ?? String(each)),
  );
  const exact = (texts: readonly string[]): boolean => texts.every((text) => /^[0-9.]+$/.test(text));
  if (exact(filter.sourceIp)) among("source_ip", filter.sourceIp);
  if (exact(filter.destinationIp)) among("destination_ip", filter.destinationIp);
  among("CAST(source_identity AS VARCHAR)", filter.sourceIdentity.map(String));
  among("CAST(destination_identity AS VARCHAR)", filter.destinationIdentity.map(String));
  for (const [end, names] of [
    ["source", filter.sourcePod],
    ["destination", filter.destinationPod],
  ] as const)
    if (names.length > 0) parts.push(`(${[...names.map((name) => podCondition(end, name)), OTHERS].join(" OR ")})`);
  return parts.length === 0 ? null : `(${parts.join(" AND ")})`;
}

/** Flows that are kept whole: their columns do not say all. */
const OTHERS = "rest IS NOT NULL";

/** As `compileNamespacedName` reads it. */
function podCondition(end: "source" | "destination", text: string): string {
  const slash = text.indexOf("/");
  const namespace = slash < 0 ? "default" : text.slice(0, slash);
  const prefix = slash < 0 ? text : text.slice(slash + 1);
  const parts = [
    ...(namespace === "" ? [] : [`${end}_namespace = ${quoted(namespace)}`]),
    ...(prefix === "" ? [] : [`starts_with(${end}_pod, ${quoted(prefix)})`]),
  ];
  return parts.length === 0 ? "true" : `(${parts.join(" AND ")})`;
}

/** What the engine says of bytes that are no Parquet. */
function saysBroken(error: unknown): boolean {
  return error instanceof Error && /^(?:Invalid Input Error|Invalid Error|Serialization Error)\b/.test(error.message);
}

/** The engine could not open a file, or not read what is in it. */
export function isAboutFiles(error: unknown): boolean {
  return saysBroken(error) || (error instanceof Error && /^IO Error\b/.test(error.message));
}

export interface RowRange {
  /** Nanoseconds since 1970, both included. */
  readonly since: bigint;
  readonly until: bigint;
  readonly isBackwards: boolean;
  readonly whitelist: readonly flow.FlowFilter[];
  /** Of those rows so many, after the first `skip`. Absent: all. */
  readonly page?: { readonly skip: number; readonly rows: number };
}

const ONLY_READ = "the history is only read: SELECT, FROM, WITH or DESCRIBE";
const QUESTIONS = [
  "select",
  "from",
  "with",
  "describe",
  "desc",
  "show",
  "summarize",
  "values",
  "table",
  "pivot",
  "unpivot",
];

/** By its first word, after comments and parentheses. */
function isQuestion(sql: string): boolean {
  const word = /^(?:[\s(]|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)*([a-z]*)/i.exec(sql)?.[1] ?? "";
  return QUESTIONS.includes(word.toLowerCase());
}

export class Reader {
  readonly #engine: typeof DuckDb;
  readonly #instance: DuckDb.DuckDBInstance;
  readonly #definition: string;

  private constructor(engine: typeof DuckDb, instance: DuckDb.DuckDBInstance, definition: string) {
    this.#engine = engine;
    this.#instance = instance;
    this.#definition = definition;
  }

  static async open(engine: typeof DuckDb, folder: string, definition: string): Promise<Reader> {
    const instance = await engine.DuckDBInstance.create(":memory:", { threads: "2", memory_limit: "1GB" });
    const connection = await instance.connect();
    const settings = [
      `SET allowed_directories = [${quoted(`${realpathSync(folder)}/`)}, ${quoted(`${folder}/`)}]`,
      "SET autoinstall_known_extensions = false",
      "SET autoload_known_extensions = false",
      "SET temp_directory = ''",
      // A question opens all files: what is in them is in their ends, which stay.
      "SET parquet_metadata_cache = true",
      "SET enable_external_access = false",
      "SET lock_configuration = true",
    ];
    for (const each of settings) await connection.run(each);
    connection.closeSync();
    return new Reader(engine, instance, definition);
  }

  /** Throws QueryError. */
  async query(sql: string, { maxRows, files }: { maxRows: number; files: readonly string[] }): Promise<QueryResult> {
    const connection = await this.#instance.connect();
    const limit = setTimeout(() => connection.interrupt(), QUERY_MS);
    try {
      const list = `[${files.map(quoted).join(", ")}]`;
      const rows = files.length > 0 ? `read_parquet(${list})` : "nothing";
      await connection.run(`CREATE TEMP TABLE nothing (${this.#definition})`);
      await connection.run(
        `CREATE TEMP VIEW flows AS SELECT * EXCLUDE (lost, lost_source, rest), make_timestamp_ns(time) AS timestamp FROM ${rows} WHERE lost IS NULL`,
      );
      await connection.run(
        `CREATE TEMP VIEW losses AS SELECT time, make_timestamp_ns(time) AS timestamp, node_name, lost, lost_source FROM ${rows} WHERE lost IS NOT NULL`,
      );
      const statement = await this.#select(connection, sql);
      const result = await statement.streamAndReadUntil(maxRows + 1);
      const found = result.getRowsJson();
      return {
        columns: result.deduplicatedColumnNames(),
        rows: found.slice(0, maxRows),
        truncated: found.length > maxRows,
      };
    } catch (error) {
      if (error instanceof QueryError) throw error;
      throw new QueryError(error instanceof Error ? error.message : String(error), { cause: error });
    } finally {
      clearTimeout(limit);
      connection.closeSync();
    }
  }

  /** Whether what is in a file is no Parquet, in part or all of it. */
  async isBroken(path: string): Promise<boolean> {
    const connection = await this.#instance.connect();
    try {
      await connection.run(`SELECT count(COLUMNS(*)) FROM read_parquet(${quoted(path)})`);
      return false;
    } catch (error) {
      // A disk that fails for now, or memory that does not reach, says nothing of the file.
      return saysBroken(error);
    } finally {
      connection.closeSync();
    }
  }

  async #select(connection: DuckDb.DuckDBConnection, sql: string): Promise<DuckDb.DuckDBPreparedStatement> {
    // To prepare EXPORT makes a folder already.
    if (!isQuestion(sql)) throw new QueryError(ONLY_READ);
    const statements = await connection.extractStatements(sql);
    if (statements.count !== 1) throw new QueryError("one statement at a time");
    const statement = await statements.prepare(0);
    // EXPLAIN ANALYZE does what it explains.
    if (statement.statementType !== this.#engine.StatementType.SELECT) throw new QueryError(ONLY_READ);
    return statement;
  }

  /** Rows of one file in the order of their time. */
  async *rows(path: string, range: RowRange): AsyncGenerator<Row, void, undefined> {
    const connection = await this.#instance.connect();
    try {
      const condition = conditionOf(range.whitelist);
      const where = [
        `time BETWEEN ${range.since} AND ${range.until}`,
        ...(condition ? [`(lost IS NOT NULL OR ${condition})`] : []),
      ];
      const order = range.isBackwards ? "DESC" : "ASC";
      const page = range.page ? ` LIMIT ${range.page.rows} OFFSET ${range.page.skip}` : "";
      const result = await connection.stream(
        `SELECT * FROM read_parquet(${quoted(path)}) WHERE ${where.join(" AND ")} ORDER BY time ${order}, uuid ${order}${page}`,
      );
      const names = result.deduplicatedColumnNames();
      for await (const rows of result.yieldRowsJs())
        for (const row of rows) yield Object.fromEntries(names.map((name, at) => [name, row[at]])) as Row;
    } finally {
      connection.closeSync();
    }
  }

  // oxlint-disable-next-line typescript/require-await -- the engine may come to want it
  async close(): Promise<void> {
    this.#instance.closeSync();
  }
}
