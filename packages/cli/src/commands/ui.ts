/**
 * @module
 * `skep ui`: the page of an agent, or of a server of Hubble's API, on this machine's loopback address.
 */
import { ApiListenError, clientPageRoutes, servePage } from "@skep/agent";
import { connect, connectServer, type FlowSource } from "../client.ts";
import { usageError } from "../errors.ts";
import { openBrowser } from "../output/browser.ts";
import { untilInterrupted } from "../output/interrupt.ts";
import { write } from "../output/print.ts";
import { pageFiles } from "../page-files.ts";

export interface UiOptions extends FlowSource {
  readonly listen: string;
  readonly open: "yes" | "no";
}

export async function ui(options: UiOptions): Promise<void> {
  const client = options.server === undefined ? connect(options.run) : connectServer(options.server, options);
  try {
    const page = await servePage({
      listen: options.listen,
      files: pageFiles,
      routes: clientPageRoutes(client),
    }).catch((error: unknown) => {
      throw error instanceof ApiListenError ? usageError(error.message, { cause: error }) : error;
    });
    await write(`${page.url}\n`);
    if (options.open === "yes") openBrowser(page.url);
    await untilInterrupted((signal) => new Promise<void>((done) => signal.addEventListener("abort", () => done())));
    await page.close();
  } finally {
    client.close();
  }
}
