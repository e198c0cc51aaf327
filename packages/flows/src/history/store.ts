/**
 * @module
 * The history of flows on disk: rows gather in a table in memory, which becomes a Parquet file every few seconds; small files become larger ones;
 * the oldest go when they are too many or too old. A crash loses what was not flushed, and nothing else.
 */
import { existsSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { flow, observer, skep } from "@skep/api";
import { timestampOf } from "../decode/flow.ts";
import { compileFilters } from "../filter/filter.ts";
import { compileMask } from "../filter/mask.ts";
import { type Cell, columns, flowOfRow, lossColumns, type Row, timeOf } from "./columns.ts";
import { type DuckDb, loadEngine } from "./duckdb.ts";
import type { FlowHistory, QueryResult } from "./interface.ts";
import { isAboutFiles, Reader, type RowRange } from "./reader.ts";
import { expired, isWhole, openSegments, putAside, type Segment, segmentName, takeFolder } from "./segments.ts";

export interface HistoryOptions {
  readonly folder: string;
  readonly nodeName: string;
  /** Nanoseconds since 1970. */
  readonly now: () => bigint;
  /** Of all files. Default 1 GiB. */
  readonly maxBytes?: number;
  /** Default seven days. */
  readonly maxAgeSeconds?: number;
  /** A crash loses what came within this time. Default 5000. */
  readonly flushMs?: number;
  /** Rows that wait for the disk; what is beyond is lost, and counted. Default 500,000. */
  readonly maxPending?: number;
  /** Of the last flows so many are held until the first of them is known; where more are asked for they are counted before. Default 20,000. */
  readonly maxHeld?: number;
}

const CHUNK = 2048;
/** So many rows go to disk before their time: they take about two kilobytes each until then. */
const FLUSH_ROWS = 20_000;
/** Rows that a file's writer gathers in memory. */
const GROUP_ROWS = 20_480;
/** Rows of the first page where a number of flows is asked for. */
const FIRST_PAGE = 64;
/** So many files of a flush become one. */
const SMALL_FILES = 32;
/** A file of this size is not made larger. */
const LARGE_BYTES = 64 << 20;

/** Files that have been merged stay for those who read them, so much of them. */
const MOST_KEPT_BYTES = 256 << 20;

const all = [...columns.map(({ name, type }) => ({ name, type })), ...lossColumns];
const definition = all.map(({ name, type }) => `${name} ${type}`).join(", ");
const quoted = (path: string): string => `'${path.replaceAll("'", "''")}'`;

export class History implements FlowHistory {
  readonly #options: Required<HistoryOptions>;
  readonly #connection: DuckDb.DuckDBConnection;
  readonly #reader: Reader;
  readonly #chunk: DuckDb.DuckDBDataChunk;
  #segments: Segment[];
  #cells: Cell[][] = all.map(() => []);
  #appender: DuckDb.DuckDBAppender | null = null;
  #table = 0;
  #pending = 0;
  #oldest: bigint | null = null;
  #newest = 0n;
  #number: number;
  #lost = 0;
  #error = "";
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<void> = Promise.resolve();
  #isClosed = false;
  #isFlushing = false;
  /** What was put aside. */
  #aside = "";
  /** By path: how many are to read it yet. */
  readonly #readers = new Map<string, number>();
  /** Merged into another one; oldest first. */
  #merged: Segment[] = [];
  readonly #release: () => void;

  private constructor(
    options: Required<HistoryOptions>,
    engine: typeof DuckDb,
    parts: { connection: DuckDb.DuckDBConnection; reader: Reader; segments: Segment[]; release: () => void },
  ) {
    this.#options = options;
    this.#connection = parts.connection;
    this.#reader = parts.reader;
    const { BIGINT, UBIGINT, VARCHAR, UTINYINT, USMALLINT, INTEGER, UINTEGER, BOOLEAN } = engine;
    const types = { BIGINT, UBIGINT, VARCHAR, UTINYINT, USMALLINT, INTEGER, UINTEGER, BOOLEAN };
    this.#chunk = engine.DuckDBDataChunk.create(all.map(({ type }) => types[type]));
    this.#segments = parts.segments;
    this.#release = parts.release;
    this.#number = (this.#segments.at(-1)?.last ?? 0) + 1;
  }

  /** Throws HistoryEngineError where the engine is not installed, and what the folder's file system throws. */
  static async open(given: HistoryOptions): Promise<History> {
    const options = {
      maxBytes: 1 << 30,
      maxAgeSeconds: 604_800,
      flushMs: 5000,
      maxPending: 500_000,
      maxHeld: 20_000,
      ...given,
    };
    const engine = await loadEngine();
    const release = takeFolder(options.folder);
    const segments = openSegments(options.folder);
    const instance = await engine.DuckDBInstance.create(":memory:", {
      ...{ threads: "1", memory_limit: "256MB" },
      // Files are read once, to be merged: without this they stay in memory up to the limit.
      enable_external_file_cache: "false",
      // What a flush has used is given back after it, not kept for the next.
      ...{
        allocator_background_threads: "true",
        allocator_flush_threshold: "16MB",
        allocator_bulk_deallocation_flush_threshold: "16MB",
      },
    });
    const connection = await instance.connect();
    for (const table of [0, 1]) await connection.run(`CREATE TABLE rows${table} (${definition})`);
    const reader = await Reader.open(engine, options.folder, definition);
    const history = new History(options, engine, { connection, reader, segments, release });
    for (const segment of segments) if (!isWhole(segment)) history.#setAside(segment);
    history.#appender = await connection.createAppender("rows0");
    history.#timer = setInterval(() => void history.flush(), options.flushMs).unref();
    return history;
  }

  add(message: flow.Flow): void {
    if (!this.#hasRoom(1)) return;
    for (let at = 0; at < columns.length; at++) this.#cells[at]!.push(columns[at]!.of(message));
    for (let at = columns.length; at < all.length; at++) this.#cells[at]!.push(null);
    this.#added(timeOf(message));
  }

  addLoss(source: flow.LostEventSource, lost: bigint): void {
    if (!this.#hasRoom(0)) return;
    const row: Row = { time: this.#options.now(), node_name: this.#options.nodeName, lost, lost_source: source };
    for (let at = 0; at < all.length; at++) this.#cells[at]!.push(row[all[at]!.name] ?? null);
    this.#added(this.#options.now());
  }

  #hasRoom(flows: number): boolean {
    if (!this.#isClosed && this.#pending < this.#options.maxPending) return true;
    this.#lost += flows;
    return false;
  }

  #added(time: bigint): void {
    this.#pending += 1;
    if (this.#oldest === null || time < this.#oldest) this.#oldest = time;
    if (time > this.#newest) this.#newest = time;
    if (this.#cells[0]!.length >= CHUNK) this.#append();
    if (this.#pending >= FLUSH_ROWS && !this.#isFlushing) void this.flush();
  }

  #append(): void {
    if (this.#cells[0]!.length === 0) return;
    // One for all: a chunk's memory is the engine's, megabytes that the collector of garbage does not see and frees late.
    this.#chunk.reset();
    this.#chunk.setColumns(this.#cells);
    this.#appender?.appendDataChunk(this.#chunk);
    this.#cells = all.map(() => []);
  }

  /** Brings what was added to disk; what comes meanwhile goes with the next. */
  flush(): Promise<void> {
    this.#running = this.#running.then(() => this.#write());
    return this.#running;
  }

  async #write(): Promise<void> {
    this.#isFlushing = true;
    try {
      await this.#flush();
      this.#expire();
      await this.#merge();
      this.#error = "";
    } catch (error) {
      this.#error = error instanceof Error ? error.message : String(error);
    } finally {
      this.#isFlushing = false;
    }
  }

  async #flush(): Promise<void> {
    this.#append();
    const [rows, oldest, newest, table] = [this.#pending, this.#oldest, this.#newest, this.#table];
    if (rows === 0 || oldest === null) return;
    this.#appender?.closeSync();
    this.#table = 1 - table;
    this.#appender = await this.#connection.createAppender(`rows${this.#table}`);
    // What came while the appender was made waits in the cells.
    this.#pending -= rows;
    [this.#oldest, this.#newest] = [null, 0n];
    for (const time of this.#cells[0]!) if (typeof time === "bigint") this.#range(time);
    const number = this.#number++;
    const range = { first: number, last: number, oldest, newest, rows };
    try {
      this.#segments.push(await this.#copy(`SELECT * FROM rows${table} ORDER BY time`, range));
    } catch (error) {
      this.#lost += rows;
      throw error;
    } finally {
      await this.#connection.run(`CREATE OR REPLACE TABLE rows${table} (${definition})`);
    }
  }

  #range(time: bigint): void {
    if (this.#oldest === null || time < this.#oldest) this.#oldest = time;
    if (time > this.#newest) this.#newest = time;
  }

  async #copy(query: string, range: Omit<Segment, "path" | "bytes">): Promise<Segment> {
    const path = join(this.#options.folder, segmentName(range));
    const part = `${path}.part`;
    await this.#connection.run(
      `COPY (${query}) TO ${quoted(part)} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE ${GROUP_ROWS})`,
    );
    renameSync(part, path);
    return { ...range, path, bytes: statSync(path).size };
  }

  #expire(): void {
    const gone = new Set(expired(this.#segments, this.#options, this.#options.now()));
    if (gone.size === 0) return;
    this.#segments = this.#segments.filter((each) => !gone.has(each));
    for (const { path } of gone) rmSync(path, { force: true });
  }

  /** A file that cannot be read is in nobody's way: its rows are lost, and counted. */
  #setAside(segment: Segment): void {
    if (!this.#segments.includes(segment)) return;
    this.#segments = this.#segments.filter((each) => each !== segment);
    if (!existsSync(segment.path)) return;
    this.#lost += segment.rows;
    this.#aside = `${basename(putAside(segment))} cannot be read: its ${segment.rows} flows are lost`;
  }

  async #isLost({ path }: Segment): Promise<boolean> {
    return !existsSync(path) || (await this.#reader.isBroken(path));
  }

  /** After a failure: which of the files it was. True: one, at least. */
  async #setBrokenAside(segments: readonly Segment[]): Promise<boolean> {
    let isAny = false;
    for (const segment of segments) {
      if (!(await this.#isLost(segment))) continue;
      isAny ||= this.#segments.includes(segment);
      this.#setAside(segment);
    }
    return isAny;
  }

  /** These files stay until they have been read. */
  #hold(segments: readonly Segment[]): void {
    for (const { path } of segments) this.#readers.set(path, (this.#readers.get(path) ?? 0) + 1);
  }

  #letGo(segments: readonly Segment[]): void {
    for (const { path } of segments) {
      const left = (this.#readers.get(path) ?? 0) - 1;
      if (left > 0) this.#readers.set(path, left);
      else this.#readers.delete(path);
    }
    this.#removeMerged();
  }

  #removeMerged(): void {
    let bytes = this.#merged.reduce((sum, each) => sum + each.bytes, 0);
    this.#merged = this.#merged.filter((each) => {
      if (this.#readers.has(each.path) && bytes <= MOST_KEPT_BYTES) return true;
      bytes -= each.bytes;
      rmSync(each.path, { force: true });
      return false;
    });
  }

  /** Of the newest files those that are small, when there are enough. */
  async #merge(): Promise<void> {
    let from = this.#segments.length;
    while (from > 0 && this.#segments[from - 1]!.bytes < LARGE_BYTES / SMALL_FILES) from -= 1;
    const small = this.#segments.slice(from);
    if (small.length < SMALL_FILES) return;
    const files = small.map(({ path }) => quoted(path)).join(", ");
    // In the order of the files, which is nearly that of time: sorting would take all of them into memory.
    const copied = this.#copy(`SELECT * FROM read_parquet([${files}])`, {
      ...{ first: small[0]!.first, last: small.at(-1)!.last },
      oldest: small.reduce((least, { oldest }) => (oldest < least ? oldest : least), small[0]!.oldest),
      newest: small.reduce((most, { newest }) => (newest > most ? newest : most), 0n),
      rows: small.reduce((sum, { rows }) => sum + rows, 0),
    });
    const merged = await copied.catch(async (error: unknown) => {
      if (await this.#setBrokenAside(small)) return null;
      throw error;
    });
    // The next flush merges what is left.
    if (!merged) return;
    this.#segments = [...this.#segments.slice(0, from), merged];
    this.#merged.push(...small);
    this.#removeMerged();
  }

  // oxlint-disable-next-line typescript/require-await -- the interface's
  async status(): Promise<skep.GetHistoryResponse> {
    const sum = (of: (segment: Segment) => number): bigint =>
      BigInt(this.#segments.reduce((all, each) => all + of(each), 0));
    const oldest = this.#segments[0]?.oldest ?? this.#oldest;
    const newest = this.#pending > 0 ? this.#newest : this.#segments.at(-1)?.newest;
    return create(skep.GetHistoryResponseSchema, {
      directory: this.#options.folder,
      flows: sum(({ rows }) => rows),
      bytes: sum(({ bytes }) => bytes),
      ...(oldest !== null && { oldest: timestampOf(oldest) }),
      ...(newest !== undefined && { newest: timestampOf(newest) }),
      unflushed: BigInt(this.#pending),
      lost: BigInt(this.#lost),
      maxBytes: BigInt(this.#options.maxBytes),
      maxAgeSeconds: BigInt(Math.round(this.#options.maxAgeSeconds)),
      error: this.#error || this.#aside,
    });
  }

  async query(sql: string, maxRows: number): Promise<QueryResult> {
    await this.flush();
    const segments = this.#segments;
    this.#hold(segments);
    try {
      return await this.#reader.query(sql, { maxRows, files: segments.map(({ path }) => path) });
    } catch (error) {
      if (!isAboutFiles(error) || !(await this.#setBrokenAside(segments))) throw error;
    } finally {
      this.#letGo(segments);
    }
    return this.#reader.query(sql, { maxRows, files: this.#segments.map(({ path }) => path) });
  }

  /** Throws FilterError before the first response. */
  flows(request: observer.GetFlowsRequest, signal: AbortSignal): AsyncIterable<observer.GetFlowsResponse> {
    const matches = compileFilters(request.whitelist, request.blacklist);
    const mask = compileMask<flow.Flow>(flow.FlowSchema, request.fieldMask?.paths ?? []);
    return this.#flows(request, { matches, mask, signal });
  }

  async *#flows(
    request: observer.GetFlowsRequest,
    how: How,
  ): AsyncGenerator<observer.GetFlowsResponse, void, undefined> {
    await this.flush();
    const since = request.since ? timeOf({ time: request.since }) : 0n;
    const until = request.until ? timeOf({ time: request.until }) : (1n << 63n) - 1n;
    const segments = this.#segments.filter((each) => each.newest >= since && each.oldest <= until);
    const wanted = Number(request.number);
    const isBackwards = wanted > 0 && !request.first;
    const range = { since, until, whitelist: request.whitelist };
    this.#hold(segments);
    try {
      if (!isBackwards) return yield* this.#walk(segments, { ...range, isBackwards, wanted, ...how });
      const backwards = (most: number) =>
        this.#walk([...segments].reverse(), { ...range, isBackwards: true, wanted: most, ...how });
      const { maxHeld } = this.#options;
      const found: observer.GetFlowsResponse[] = [];
      for await (const each of backwards(Math.min(wanted, maxHeld))) found.push(each);
      const isAll = found.reduce((sum, each) => sum + flowsIn(each), 0) < maxHeld;
      if (isAll || wanted <= maxHeld) return yield* found.reverse();
      found.splice(0);
      let rows = 0;
      for await (const _ of backwards(wanted)) rows += 1;
      let before = -rows;
      for await (const _ of this.#walk(segments, { ...range, isBackwards: false, wanted: 0, ...how })) before += 1;
      for await (const each of this.#walk(segments, { ...range, isBackwards: false, wanted: 0, ...how })) {
        before -= 1;
        if (before < 0) yield each;
      }
    } finally {
      this.#letGo(segments);
    }
  }

  /** What matches, file by file, until so many flows have come; 0: all. Of a file that is gone or cannot be read: how many are lost with it. */
  async *#walk(
    segments: readonly Segment[],
    { wanted, matches, mask, signal, ...range }: Omit<RowRange, "page"> & How & { readonly wanted: number },
  ): AsyncGenerator<observer.GetFlowsResponse, void, undefined> {
    let flows = 0;
    for (const segment of segments) {
      let read = 0;
      try {
        for await (const row of this.#rows(segment.path, range, wanted)) {
          if (signal.aborted) return;
          read += 1;
          const response = responseOf(row, { matches, mask });
          if (!response) continue;
          yield response;
          flows += flowsIn(response);
          if (wanted > 0 && flows >= wanted) return;
        }
      } catch (error) {
        if (!isAboutFiles(error) || !(await this.#isLost(segment))) throw error;
        this.#setAside(segment);
        yield this.#lostWith(segment, read);
      }
    }
  }

  #lostWith({ oldest, rows }: Segment, read: number): observer.GetFlowsResponse {
    const lost = { lost: BigInt(Math.max(0, rows - read)), lost_source: flow.LostEventSource.HUBBLE_RING_BUFFER };
    const row: Row = { time: oldest, node_name: this.#options.nodeName, ...lost };
    return responseOf(row, { matches: () => true, mask: (each) => each })!;
  }

  /** Where few are wanted, few are asked for at a time: each costs more than looking for it. */
  async *#rows(path: string, range: Omit<RowRange, "page">, wanted: number): AsyncGenerator<Row, void, undefined> {
    if (wanted === 0) return yield* this.#reader.rows(path, range);
    for (let [skip, rows] = [0, Math.max(FIRST_PAGE, wanted)]; ; skip += rows, rows *= 4) {
      let got = 0;
      for await (const row of this.#reader.rows(path, { ...range, page: { skip, rows } })) {
        got += 1;
        yield row;
      }
      if (got < rows) return;
    }
  }

  async close(): Promise<void> {
    if (this.#timer) clearInterval(this.#timer);
    await this.flush();
    this.#isClosed = true;
    this.#appender?.closeSync();
    this.#connection.closeSync();
    await this.#reader.close();
    this.#release();
  }
}

interface Chosen {
  readonly matches: (message: flow.Flow) => boolean;
  readonly mask: (message: flow.Flow) => flow.Flow;
}
type How = Chosen & { readonly signal: AbortSignal };

const flowsIn = (response: observer.GetFlowsResponse): number => (response.responseTypes.case === "flow" ? 1 : 0);

function responseOf(row: Row, { matches, mask }: Chosen): observer.GetFlowsResponse | null {
  const nodeName = typeof row["node_name"] === "string" ? row["node_name"] : "";
  const time = timestampOf(BigInt(row["time"] ?? 0));
  const { lost, lost_source: source } = row;
  if (lost !== null && lost !== undefined) {
    const value = create(flow.LostEventSchema, {
      source: Number(source) as flow.LostEventSource,
      numEventsLost: BigInt(lost),
    });
    return create(observer.GetFlowsResponseSchema, { responseTypes: { case: "lostEvents", value }, nodeName, time });
  }
  const message = flowOfRow(row);
  if (!matches(message)) return null;
  const value = mask(message);
  return create(observer.GetFlowsResponseSchema, { responseTypes: { case: "flow", value }, nodeName, time });
}
