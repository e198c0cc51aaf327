/**
 * @module
 * The agent's API on a unix socket: gRPC, gRPC-web and Connect over HTTP/2 without TLS (h2c), for the owner of the socket alone.
 */
import { chmodSync, mkdirSync, rmSync } from "node:fs";
import http2 from "node:http2";
import net from "node:net";
import { dirname } from "node:path";
import type { ConnectRouter } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { MAX_REQUEST_BYTES } from "@skep/flows";

export interface Server {
  readonly path: string;
  close(): Promise<void>;
}

/** Another agent answers on the socket. */
export class SocketTakenError extends Error {
  override readonly name = "SocketTakenError";
  constructor(path: string) {
    super(`an agent is already at work on ${path}: end it first, or give this one another --run folder`);
  }
}

export async function serve(path: string, routes: (router: ConnectRouter) => void): Promise<Server> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  if (await answers(path)) throw new SocketTakenError(path);
  rmSync(path, { force: true });
  const server = http2.createServer(connectNodeAdapter({ routes, readMaxBytes: MAX_REQUEST_BYTES }));
  const sessions = new Set<http2.ServerHttp2Session>();
  server.on("session", (session) => {
    sessions.add(session);
    session.on("close", () => sessions.delete(session));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, resolve);
  });
  chmodSync(path, 0o600);
  return {
    path,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const session of sessions) session.destroy();
      }),
  };
}

/** A socket file that nobody listens on is what a killed agent leaves. */
export function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
