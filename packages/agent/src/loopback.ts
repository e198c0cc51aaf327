/**
 * @module
 * The API for pages: Connect and gRPC-web over HTTP/1.1 on the loopback address, which every user of the machine can reach: it tells and changes
 * nothing. Other names for the address, and other pages, are refused.
 */
import http from "node:http";
import type { AddressInfo } from "node:net";
import { Code, ConnectError, type ConnectRouter, type Interceptor } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { skep } from "@skep/api";
import { MAX_REQUEST_BYTES } from "@skep/flows";
import { parseListen } from "./metrics.ts";

export interface LoopbackOptions {
  /** `127.0.0.1:4246`; the port 0 is any free one. */
  readonly listen: string;
  /** Answers what is no call: the page's files. Default: not found. */
  readonly page?: http.RequestListener;
}

/** The address to serve the API on cannot be taken. */
export class ApiListenError extends Error {
  override readonly name = "ApiListenError";
}

export interface LoopbackServer {
  /** With the port that was taken. */
  readonly address: string;
  close(): Promise<void>;
}

/** Calls of the agent's service that change nothing. */
const READS = new Set([
  "GetStatus",
  "ListEndpoints",
  "ListIdentities",
  "ListServices",
  "GetPolicy",
  "WaitForPolicy",
  "GetSettings",
]);

const readOnly: Interceptor = (next) => (request) => {
  if (request.service.typeName === skep.Agent.typeName && !READS.has(request.method.name))
    throw new ConnectError(`${request.method.name} changes the agent: call it on the socket`, Code.PermissionDenied);
  return next(request);
};

const OWN_HOST = /^(?:127\.0\.0\.1|localhost|\[::1\])(?::\d+)?$/;

/** A page elsewhere whose name resolves to this address has another host; one that calls from elsewhere another origin. */
function isOwn({ host = "", origin }: http.IncomingHttpHeaders): boolean {
  return OWN_HOST.test(host) && (origin === undefined || origin === `http://${host}`);
}

/** Throws ApiListenError for anything but loopback. */
export function checkLoopback(listen: string): ReturnType<typeof parseListen> {
  try {
    return parseListen(listen);
  } catch (cause) {
    const said = cause instanceof Error ? cause.message : String(cause);
    throw new ApiListenError(said.replace("metrics are", "the API is").replace("9962", "4246"), { cause });
  }
}

const notFound: http.RequestListener = (_request, response) => {
  response.writeHead(404, { "content-type": "text/plain" }).end("not found\n");
};

/** Throws ApiListenError where the address cannot be taken. */
export async function serveLoopback(
  options: LoopbackOptions,
  routes: (router: ConnectRouter) => void,
): Promise<LoopbackServer> {
  const { host, port } = checkLoopback(options.listen);
  const page = options.page ?? notFound;
  const adapter = connectNodeAdapter({
    ...{ routes, interceptors: [readOnly], readMaxBytes: MAX_REQUEST_BYTES },
    // This server speaks HTTP/1.1 alone.
    fallback: (request, response) => page(request as http.IncomingMessage, response as http.ServerResponse),
  });
  const server = http.createServer((request, response) => {
    if (isOwn(request.headers)) adapter(request, response);
    else response.writeHead(403, { "content-type": "text/plain" }).end("forbidden\n");
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) =>
      reject(new ApiListenError(`the API cannot be served on ${options.listen}: ${cause.message}`, { cause })),
    );
    server.listen(port, host, resolve);
  });
  const taken = server.address() as AddressInfo;
  const shown = taken.family === "IPv6" ? `[${taken.address}]` : taken.address;
  return {
    address: `${shown}:${taken.port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
