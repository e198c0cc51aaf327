/**
 * @module
 * The flows that the page shows: those of a period, or the newest and all that come. A stream that ends is asked for again.
 */
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Clients } from "../api/clients.ts";
import type { FlowFilters } from "../model/chips.ts";
import { Held } from "../model/held.ts";
import type { Period } from "../model/location.ts";
import { type Row, rowOf } from "../model/row.ts";

/** Rows that the page holds. */
export const CAPACITY = 100_000;
/** Asked of the past when the page opens. */
const BACKLOG = 10_000n;
/** Rows that come are shown together, this often at most. */
const SHOW_MS = 120;
const RETRY_MS = [500, 1000, 2000, 4000];
/** A server's answer begins with its first flow. One that is silent for so long is asked whether it is there. */
const SILENCE_MS = 500;

export type FeedState =
  | { readonly name: "connecting" }
  | { readonly name: "live" }
  /** All of the period is there. */
  | { readonly name: "complete" }
  | { readonly name: "lost"; readonly problem: string }
  /** The server refuses what is asked: asking again is no use. */
  | { readonly name: "refused"; readonly problem: string };

export interface FeedSnapshot {
  readonly state: FeedState;
  readonly rows: Held<Row>;
  /** Counts every change of the rows. */
  readonly version: number;
  /** Counts how often the rows began anew. */
  readonly epoch: number;
  /** Flows that were lost before they got here. */
  readonly lost: bigint;
  readonly paused: boolean;
}

export interface FeedQuery {
  readonly filters: FlowFilters;
  /** Null: live. */
  readonly period: Period | null;
}

export class FlowFeed {
  readonly #clients: Clients;
  readonly #listeners = new Set<() => void>();
  #snapshot: FeedSnapshot;
  #rows = new Held<Row>(CAPACITY);
  #waiting: Row[] = [];
  #stop = new AbortController();
  #nextId = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #lost = 0n;

  constructor(clients: Clients) {
    this.#clients = clients;
    this.#snapshot = {
      ...{ state: { name: "connecting" }, rows: this.#rows, version: 0, epoch: 0, lost: 0n, paused: false },
    };
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly snapshot = (): FeedSnapshot => this.#snapshot;

  #tell(change: Partial<FeedSnapshot>): void {
    this.#snapshot = { ...this.#snapshot, ...change };
    for (const listener of this.#listeners) listener();
  }

  /** Shows no new rows until it goes on; they are kept. */
  pause(paused: boolean): void {
    this.#tell({ paused });
    if (!paused) this.#show();
  }

  /** Begins anew with another question. */
  ask(query: FeedQuery): void {
    this.#stop.abort();
    this.#stop = new AbortController();
    void this.#run(query, this.#stop.signal);
  }

  close(): void {
    this.#stop.abort();
    clearTimeout(this.#timer);
  }

  #begin(): void {
    this.#rows = new Held<Row>(CAPACITY);
    this.#waiting = [];
    this.#lost = 0n;
    const { epoch, version } = this.#snapshot;
    this.#tell({ rows: this.#rows, epoch: epoch + 1, version: version + 1, lost: 0n, paused: false });
  }

  async #run(query: FeedQuery, signal: AbortSignal): Promise<void> {
    let attempt = 0;
    this.#tell({ state: { name: "connecting" } });
    while (!signal.aborted) {
      const problem = await this.#stream(query, signal, () => (attempt = 0));
      if (signal.aborted) return;
      this.#show();
      if (problem === null) return this.#tell({ state: { name: "complete" } });
      if (problem.code === Code.InvalidArgument) {
        return this.#tell({ state: { name: "refused", problem: problem.rawMessage } });
      }
      this.#tell({ state: { name: "lost", problem: problem.rawMessage } });
      await wait(RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)] ?? 0, signal);
      attempt += 1;
    }
  }

  /** Null where the stream is over as it should be. */
  async #stream(query: FeedQuery, signal: AbortSignal, onOpen: () => void): Promise<ConnectError | null> {
    const { filters, period } = query;
    const times = period ? { since: timestampFromMs(period.from), until: timestampFromMs(period.to) } : {};
    const range = period ? { number: BigInt(CAPACITY), follow: false } : { number: BACKLOG, follow: true };
    let begun = false;
    const begin = (): void => {
      if (begun) return;
      begun = true;
      clearTimeout(silence);
      this.#begin();
      if (!period) this.#tell({ state: { name: "live" } });
    };
    const over = new AbortController();
    const silence = setTimeout(() => {
      if (!period) void this.#answers(AbortSignal.any([signal, over.signal])).then((here) => here && begin());
    }, SILENCE_MS);
    try {
      const request = { ...range, ...times, whitelist: filters.allow, blacklist: filters.deny };
      const responses = this.#clients.observer.getFlows(request, {
        signal,
        // The rows of before stay while nobody answers.
        onHeader: () => {
          onOpen();
          begin();
        },
      });
      for await (const { responseTypes } of responses) {
        if (signal.aborted) return null;
        if (responseTypes.case === "flow") this.#take(rowOf(this.#nextId++, responseTypes.value));
        else if (responseTypes.case === "lostEvents") this.#lost += responseTypes.value.numEventsLost;
      }
      return period ? null : new ConnectError("the agent ended the stream", Code.Unavailable);
    } catch (error) {
      return ConnectError.from(error);
    } finally {
      clearTimeout(silence);
      over.abort();
    }
  }

  /** Also one that does not know the question is there. */
  async #answers(signal: AbortSignal): Promise<boolean> {
    try {
      await this.#clients.observer.serverStatus({}, { signal });
      return !signal.aborted;
    } catch (error) {
      return !signal.aborted && ConnectError.from(error).code === Code.Unimplemented;
    }
  }

  #take(row: Row): void {
    this.#waiting.push(row);
    if (this.#waiting.length > CAPACITY * 2) this.#waiting.splice(0, CAPACITY);
    this.#timer ??= setTimeout(() => this.#show(), SHOW_MS);
  }

  #show(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#snapshot.paused || (this.#waiting.length === 0 && this.#lost === this.#snapshot.lost)) return;
    for (const row of this.#waiting) this.#rows.push(row);
    this.#waiting = [];
    this.#tell({ version: this.#snapshot.version + 1, lost: this.#lost });
  }
}

function wait(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
