/**
 * @module
 * The example on the simulated machine with its page, and a browser for it.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type Browser, chromium, type Page } from "playwright-core";
import { demo } from "../../cli/src/demo/demo.ts";

/** The installed browser; null where there is none. */
export function findBrowser(): string | null {
  const names = ["chromium", "chromium-browser", "google-chrome"];
  for (const name of names) {
    const found = spawnSync("sh", ["-c", `command -v ${name}`], { encoding: "utf8" });
    if (found.status === 0) return found.stdout.trim();
  }
  return null;
}

export function openBrowser(executablePath: string): Promise<Browser> {
  // As root there is no sandbox, and containers have little of /dev/shm.
  return chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"] });
}

export interface Ground {
  readonly url: string;
  close(): Promise<void>;
}

/** Plays the example to its end; its ships fly on until it is closed. */
export async function playExample(): Promise<Ground> {
  const stop = new AbortController();
  const example = fileURLToPath(new URL("../../../examples/star-wars", import.meta.url));
  let played: Promise<number> | undefined;
  const url = await new Promise<string>((resolve, reject) => {
    const write = process.stdout.write.bind(process.stdout);
    let text = "";
    const restore = (): void => {
      process.stdout.write = write;
    };
    // The example talks to a terminal.
    process.stdout.write = ((chunk: string | Uint8Array): boolean => {
      text += typeof chunk === "string" ? chunk : new TextDecoder().decode(chunk);
      const found = /See it:\S* (http:\S+)/.exec(text);
      if (found?.[1] !== undefined) {
        restore();
        resolve(found[1]);
      }
      return true;
    }) as typeof process.stdout.write;
    played = demo({ once: false, run: "", example, sim: true, uiAddr: "127.0.0.1:0", signal: stop.signal });
    played.then(
      (code) => reject(new Error(`the example ended with ${code}:\n${text}`)),
      (error: unknown) => reject(error as Error),
    );
    played.finally(restore).catch(() => undefined);
  });
  return {
    url,
    close: async () => {
      stop.abort();
      await played;
    },
  };
}

/** Everything that a page asks for, and every error that it shows in its console. */
export function listen(page: Page): { readonly requests: string[]; readonly errors: string[] } {
  const heard = { requests: [] as string[], errors: [] as string[] };
  page.on("request", (request) => heard.requests.push(request.url()));
  page.on("pageerror", (error) => heard.errors.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") heard.errors.push(message.text());
  });
  return heard;
}
