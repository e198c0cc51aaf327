import { Code, ConnectError } from "@connectrpc/connect";

/** Ctrl-C and a term signal end a stream, as its normal end. */
export async function untilInterrupted(run: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const stop = new AbortController();
  const end = (): void => stop.abort();
  process.once("SIGINT", end).once("SIGTERM", end);
  try {
    await run(stop.signal);
  } catch (error) {
    if (!stop.signal.aborted || ConnectError.from(error).code !== Code.Canceled) throw error;
  } finally {
    process.off("SIGINT", end).off("SIGTERM", end);
  }
}
