/**
 * @module
 * `skep playground`: the page, served until it is interrupted.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { CliError } from "../errors.ts";
import { note, write } from "../output/print.ts";
import { servePage } from "./server.ts";

export interface PlaygroundOptions {
  readonly port: number;
  readonly open: "yes" | "no";
  /** Ends it. Default: SIGINT or SIGTERM. */
  readonly signal?: AbortSignal;
}

interface Builder {
  /** Builds the page where it is missing or older than its sources; gives its folder. */
  buildPlayground(): Promise<string>;
}

function ancestorWith(...names: readonly string[]): string | null {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    if (names.every((name) => existsSync(join(folder, name)))) return folder;
    if (folder === dirname(folder)) return null;
  }
}

/** The folder of the built page. A checkout builds it when it is first asked for; a package has it beside the command. */
export async function pageFolder(): Promise<string> {
  const checkout = ancestorWith("scripts/build.mjs", "node_modules/esbuild");
  if (checkout !== null) {
    const builder = (await import(pathToFileURL(join(checkout, "scripts/build.mjs")).href)) as Builder;
    return builder.buildPlayground();
  }
  const packed = ancestorWith("playground/index.html");
  if (packed === null) throw new CliError("the page is not part of this installation: run `npm ci` in a checkout");
  return join(packed, "playground");
}

/** Where there is a desktop. A browser that does not start is no failure: the address is printed. */
function openBrowser(url: string): void {
  const isDesktop = ["DISPLAY", "WAYLAND_DISPLAY"].some((name) => process.env[name] !== undefined);
  if (!isDesktop) return;
  const child = spawn("xdg-open", [url], { stdio: "ignore", detached: true });
  child.on("error", (error) => note(`no browser could be opened: ${error.message}`));
  child.unref();
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
  const server = await servePage(await pageFolder(), options.port);
  try {
    await write(`${server.url}\n`);
    if (options.open === "yes") openBrowser(server.url);
    await ended;
  } finally {
    await server.close();
  }
}
