/**
 * @module
 * `skep playground`: the page, served until it is interrupted.
 */
import { write } from "../output/print.ts";
import { openBrowser } from "../output/browser.ts";
import { pageFiles } from "../page-files.ts";
import { servePage } from "./server.ts";

export interface PlaygroundOptions {
  readonly port: number;
  readonly open: "yes" | "no";
  /** Ends it. Default: SIGINT or SIGTERM. */
  readonly signal?: AbortSignal;
}

function interrupted(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
  });
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });

export async function playground(options: PlaygroundOptions): Promise<void> {
  const ended = options.signal ? aborted(options.signal) : interrupted();
  const server = await servePage(await pageFiles.playground(), options.port);
  try {
    await write(`${server.url}\n`);
    if (options.open === "yes") openBrowser(server.url);
    await ended;
  } finally {
    await server.close();
  }
}
