/**
 * @module
 * Hubble's API on a port or a unix socket: gRPC, gRPC-web and Connect, with or without TLS.
 */
import { X509Certificate } from "node:crypto";
import { chmodSync, rmSync } from "node:fs";
import http2 from "node:http2";
import type net from "node:net";
import type { ConnectRouter } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { readAsked } from "./asked-file.ts";
import { CliError, systemCode, usageError } from "./errors.ts";

export interface ServeOptions {
  /** `unix://PATH` or `HOST:PORT`. */
  readonly listen: string;
  readonly tlsCertFile?: string;
  readonly tlsKeyFile?: string;
  /** Clients must have a certificate of this authority. */
  readonly tlsClientCaFile?: string;
}

export interface Served {
  /** Where it really listens: a port of 0 is chosen by the kernel. */
  readonly address: string;
  close(): Promise<void>;
}

/** The first name that a certificate is made out to. Throws a usage error where the file cannot be read. */
export function certificateName(file: string): string | null {
  const { subjectAltName, subject } = new X509Certificate(readAsked(file));
  return /DNS:([^,\s]+)/.exec(subjectAltName ?? "")?.[1] ?? /^CN=(.+)$/m.exec(subject)?.[1] ?? null;
}

type Server = http2.Http2Server | http2.Http2SecureServer;

function createServer(options: ServeOptions, routes: (router: ConnectRouter) => void): Server {
  const { tlsCertFile, tlsKeyFile, tlsClientCaFile } = options;
  const handler = connectNodeAdapter({ routes });
  if (tlsCertFile === undefined && tlsKeyFile === undefined) {
    if (tlsClientCaFile !== undefined)
      throw usageError("--listen-tls-client-ca-file needs the server's own certificate");
    return http2.createServer(handler);
  }
  if (tlsCertFile === undefined || tlsKeyFile === undefined) {
    throw usageError("--listen-tls-cert-file and --listen-tls-key-file go together");
  }
  const client =
    tlsClientCaFile === undefined
      ? {}
      : { ca: readAsked(tlsClientCaFile), requestCert: true, rejectUnauthorized: true };
  // Browsers speak Connect and gRPC-web over HTTP/1.1 too.
  return http2.createSecureServer(
    { cert: readAsked(tlsCertFile), key: readAsked(tlsKeyFile), allowHTTP1: true, ...client },
    handler,
  );
}

function place(listen: string): { path: string } | { host: string; port: number } {
  if (listen.startsWith("unix:")) return { path: listen.replace(/^unix:(\/\/)?/, "") };
  const [, host = "", port = ""] = /^(.*):(\d{1,5})$/.exec(listen) ?? [];
  if (port === "" || Number(port) > 65_535)
    throw usageError(`"${listen}" is not an address: write HOST:PORT or unix://PATH`);
  return { host: host.replace(/^\[(.*)\]$/, "$1") || "127.0.0.1", port: Number(port) };
}

function listenError(error: unknown, listen: string): Error {
  const code = systemCode(error);
  if (code === null) return error instanceof Error ? error : new Error(String(error));
  const mend = code === "EADDRINUSE" ? "another server is there: give this one another address" : code;
  return new CliError(`cannot listen on ${listen}: ${mend}`, 1, { cause: error });
}

export async function serve(options: ServeOptions, routes: (router: ConnectRouter) => void): Promise<Served> {
  const at = place(options.listen);
  const server = createServer(options, routes);
  const sessions = new Set<http2.ServerHttp2Session>();
  server.on("session", (session: http2.ServerHttp2Session) => {
    sessions.add(session);
    session.on("close", () => sessions.delete(session));
  });
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(at, resolve);
    });
  } catch (error) {
    throw listenError(error, options.listen);
  }
  if ("path" in at) chmodSync(at.path, 0o600);
  const bound = server.address() as net.AddressInfo | string | null;
  const isBound = bound !== null && typeof bound === "object";
  const host = isBound && bound.family === "IPv6" ? `[${bound.address}]` : isBound ? bound.address : "";
  return {
    address: isBound ? `${host}:${bound.port}` : options.listen,
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          if ("path" in at) rmSync(at.path, { force: true });
          resolve();
        });
        for (const session of sessions) session.destroy();
      }),
  };
}
