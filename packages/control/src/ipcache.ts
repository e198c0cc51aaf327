/**
 * @module
 * Which identity is behind each prefix: this node's workloads, and beneath them all else.
 */
import { formatPrefix, hostPrefix, parsePrefix, type Prefix } from "@skep/net";
import type { Endpoint, IpcacheRow } from "./model.ts";
import { Readers, type Touched } from "./touched.ts";

/** Rows to write and prefixes to take out. */
export interface IpcacheChange {
  readonly written: readonly IpcacheRow[];
  readonly removed: readonly Prefix[];
}

/** What has changed since it was asked last; null: all of it may be otherwise. */
export type IpcacheReader = () => IpcacheChange | null;

interface OwnRow {
  readonly row: IpcacheRow;
  readonly endpoint: Endpoint;
}

export class Ipcache {
  readonly #rowsOfOthers: () => Iterable<IpcacheRow>;
  /** Of this node's workloads, by prefix. */
  readonly #own = new Map<string, OwnRow>();
  /** Rows of all but this node's workloads, by prefix; null: to be made again. */
  #base: ReadonlyMap<string, IpcacheRow> | null = null;
  /** Prefixes, as text. */
  readonly #touched = new Readers<string>();

  /** `rowsOfOthers`: of all but this node's workloads; of two on a prefix the later holds. */
  constructor(rowsOfOthers: () => Iterable<IpcacheRow>) {
    this.#rowsOfOthers = rowsOfOthers;
  }

  /** All rows of others may be otherwise. */
  forget(): void {
    this.#base = null;
    this.#touched.addAll();
  }

  /** The rows of others at these prefixes are. */
  touch(prefixes: Iterable<Prefix>): void {
    this.#base = null;
    for (const prefix of prefixes) this.#touched.add(formatPrefix(prefix));
  }

  setEndpoint(before: Endpoint | null, after: Endpoint | null): void {
    for (const [text] of before ? rowsOf(before) : []) {
      this.#own.delete(text);
      this.#touched.add(text);
    }
    for (const [text, own] of after ? rowsOf(after) : []) {
      this.#own.set(text, own);
      this.#touched.add(text);
    }
  }

  /** The workload that has the whole prefix; null where it is none's of this node. */
  ownerOf(prefix: Prefix): Endpoint | null {
    return this.#own.get(formatPrefix(prefix))?.endpoint ?? null;
  }

  /** The last word on a prefix wins: a host or workload is never the world that a policy names with the same prefix. */
  rows(): IpcacheRow[] {
    const rows = new Map(this.#others());
    for (const [text, { row }] of this.#own) rows.set(text, row);
    return [...rows.values()];
  }

  reader(): IpcacheReader {
    const touched = this.#touched.reader();
    return () => this.#changes(touched);
  }

  #changes(unread: Touched<string>): IpcacheChange | null {
    const touched = unread.take();
    if (touched === null) return null;
    const written: IpcacheRow[] = [];
    const removed: Prefix[] = [];
    for (const text of touched) {
      const row = this.#own.get(text)?.row ?? this.#others().get(text);
      const prefix = row?.prefix ?? parsePrefix(text);
      if (row) written.push(row);
      else if (prefix) removed.push(prefix);
    }
    return { written, removed };
  }

  #others(): ReadonlyMap<string, IpcacheRow> {
    if (this.#base) return this.#base;
    const rows = new Map<string, IpcacheRow>();
    for (const row of this.#rowsOfOthers()) rows.set(formatPrefix(row.prefix), row);
    this.#base = rows;
    return rows;
  }
}

function rowsOf(endpoint: Endpoint): [prefix: string, own: OwnRow][] {
  const { address, address6, identity } = endpoint;
  const prefixes = (address6 ? [address, address6] : [address]).map(hostPrefix);
  return prefixes.map((prefix) => [formatPrefix(prefix), { row: { prefix, identity }, endpoint }]);
}
