import type { observer, skep } from "@skep/api";

export interface QueryResult {
  readonly columns: readonly string[];
  /** Each an array of JSON values. */
  readonly rows: readonly (readonly unknown[])[];
  /** There were more rows than were asked for. */
  readonly truncated: boolean;
}

/** A query that is refused, or that the engine cannot run. */
export class QueryError extends Error {
  override readonly name = "QueryError";
}

/** What keeps flows on disk. */
export interface FlowHistory {
  status(): Promise<skep.GetHistoryResponse>;
  /** Reads only. Throws QueryError. */
  query(sql: string, maxRows: number): Promise<QueryResult>;
  /** In the order of their time; with `number` the first or last so many. */
  flows(request: observer.GetFlowsRequest, signal: AbortSignal): AsyncIterable<observer.GetFlowsResponse>;
}
