/**
 * @module
 * Skep's own service of flows on a Connect router: service map, timeline, history.
 */
import { setTimeout as wait } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { skep } from "@skep/api";
import { FilterError } from "./filter/error.ts";
import { type FlowHistory, QueryError } from "./history/interface.ts";
import type { FlowServer } from "./server.ts";
import { serviceMapStream, type Ticks, timelineOf } from "./service-map/stream.ts";

export interface FlowRoutesOptions {
  /** Nanoseconds since 1970. */
  readonly now: () => bigint;
  /** Absent: nothing is kept on disk. */
  readonly history?: FlowHistory;
  /** Of the ring. */
  readonly ring?: () => { readonly flows: number; readonly bytes: number };
}

const ROWS_PER_MESSAGE = 500;
const MAX_ROWS = 10_000;

/** What cannot be asked is the caller's mistake. */
function asConnectError(error: unknown): unknown {
  if (error instanceof FilterError || error instanceof QueryError)
    return new ConnectError(error.message, Code.InvalidArgument, undefined, undefined, error);
  return error;
}

async function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  try {
    await wait(milliseconds, undefined, { signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

const NO_HISTORY = "no history is kept on disk: start the agent with --flow-history";

/** JSON has no integers of 64 bits and no bytes: they become text. */
export const jsonRow = (row: readonly unknown[]): string =>
  JSON.stringify(row, (_key, value: unknown) => (typeof value === "bigint" ? value.toString() : value));

async function* rowsOf(history: FlowHistory | undefined, request: skep.QueryHistoryRequest) {
  if (!history) throw new ConnectError(NO_HISTORY, Code.FailedPrecondition);
  const { columns, rows, truncated } = await history.query(request.sql, request.maxRows || MAX_ROWS);
  yield create(skep.QueryHistoryResponseSchema, { columns: [...columns], truncated });
  for (let at = 0; at < rows.length; at += ROWS_PER_MESSAGE)
    yield create(skep.QueryHistoryResponseSchema, { rows: rows.slice(at, at + ROWS_PER_MESSAGE).map(jsonRow) });
}

async function* told<T>(stream: AsyncIterable<T>): AsyncGenerator<T, void, undefined> {
  try {
    yield* stream;
  } catch (error) {
    throw asConnectError(error);
  }
}

/** Mounts skep.v1.Flows. */
export function flowRoutes(router: ConnectRouter, flows: FlowServer, options: FlowRoutesOptions): ConnectRouter {
  const { now, history } = options;
  const ticks: Ticks = { now, sleep };
  return router.service(skep.Flows, {
    getServiceMap(request, { signal }) {
      try {
        return told(serviceMapStream(flows, request, { ...ticks, signal }));
      } catch (error) {
        throw asConnectError(error);
      }
    },
    async getTimeline(request, { signal }) {
      try {
        return await timelineOf(flows, request, { now, signal });
      } catch (error) {
        throw asConnectError(error);
      }
    },
    async getHistory() {
      const status = history ? await history.status() : create(skep.GetHistoryResponseSchema);
      const ring = options.ring?.();
      return { ...status, ringFlows: BigInt(ring?.flows ?? 0), ringBytes: BigInt(ring?.bytes ?? 0) };
    },
    queryHistory: (request) => told(rowsOf(history, request)),
  });
}
