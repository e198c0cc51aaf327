/** @module The engine of the history, which is an optional dependency. */
import type * as DuckDb from "@duckdb/node-api";

export type { DuckDb };

/** The engine is not installed. */
export class HistoryEngineError extends Error {
  override readonly name = "HistoryEngineError";
}

/** Throws HistoryEngineError, which names the package. */
export async function loadEngine(
  load: () => Promise<typeof DuckDb> = () => import("@duckdb/node-api"),
): Promise<typeof DuckDb> {
  try {
    return await load();
  } catch (cause) {
    throw new HistoryEngineError(
      "a history of flows needs the package @duckdb/node-api, which is not installed: npm install @duckdb/node-api",
      { cause },
    );
  }
}
