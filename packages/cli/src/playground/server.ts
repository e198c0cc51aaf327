/**
 * @module
 * The page's files on the loopback address, and nothing else.
 */
import { readFile } from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { CliError, systemCode } from "../errors.ts";

/** The whole page: a name that is not here is not served. */
const files: Readonly<Record<string, { readonly file: string; readonly type: string }>> = {
  "/": { file: "index.html", type: "text/html; charset=utf-8" },
  "/main.js": { file: "main.js", type: "text/javascript; charset=utf-8" },
  "/worker.js": { file: "worker.js", type: "text/javascript; charset=utf-8" },
  "/style.css": { file: "style.css", type: "text/css; charset=utf-8" },
  "/icon.svg": { file: "icon.svg", type: "image/svg+xml" },
};

const headers = {
  // The page asks nobody but this server, and nothing in it is evaluated but WebAssembly.
  "Content-Security-Policy":
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'none'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
  "Cache-Control": "no-cache",
};

/** Other names for this address are a page elsewhere that has one resolve to it. */
const isOwnHost = (host: string | undefined): boolean => /^(?:127\.0\.0\.1|localhost)(?::\d+)?$/.test(host ?? "");

export interface PageServer {
  readonly url: string;
  close(): Promise<void>;
}

async function answer(folder: string, request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
  const refuse = (status: number): void => {
    response.writeHead(status, { ...headers, "Content-Type": "text/plain" }).end(`${http.STATUS_CODES[status]}\n`);
  };
  if (!isOwnHost(request.headers.host)) return refuse(403);
  if (request.method !== "GET" && request.method !== "HEAD") return refuse(405);
  const found = files[(request.url ?? "").replace(/\?.*$/s, "")];
  if (found === undefined) return refuse(404);
  const bytes = await readFile(join(folder, found.file));
  response.writeHead(200, { ...headers, "Content-Type": found.type, "Content-Length": bytes.length });
  response.end(request.method === "HEAD" ? undefined : bytes);
}

/** `folder`: with the built page. Throws `CliError` where the port is taken. */
export async function servePage(folder: string, port: number): Promise<PageServer> {
  const server = http.createServer((request, response) => {
    answer(folder, request, response).catch((error: unknown) => response.destroy(error as Error));
  });
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, "127.0.0.1", resolve);
    });
  } catch (error) {
    const why = systemCode(error) === "EADDRINUSE" ? "it is taken: choose another with --port" : String(error);
    throw new CliError(`cannot listen on port ${port}: ${why}`, 1, { cause: error });
  }
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
