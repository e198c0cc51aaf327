/**
 * @module
 * Hubble's API on a port or a unix socket: gRPC, gRPC-web and Connect, with or without TLS.
 */
import { chmodSync, readFileSync, rmSync, statSync } from "node:fs";
import { X509Certificate } from "node:crypto";
import http2 from "node:http2";
import net from "node:net";
import { createSecureContext, type SecureContextOptions } from "node:tls";
import type { ConnectRouter } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";

/** The largest request that a server takes into memory: gRPC's own limit. */
export const MAX_REQUEST_BYTES = 4 << 20;

/** Files in PEM. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
  /** Clients must have a certificate of one of these authorities. Empty: none is asked for. */
  readonly clientCas: readonly string[];
}

/** Where to listen. Without a host: at every address. */
export type Place = { readonly path: string } | { readonly host?: string; readonly port: number };

export interface ServeOptions {
  readonly at: Place;
  readonly tls?: TlsFiles;
}

export interface Served {
  /** Where it really listens: a port of 0 is chosen by the kernel. */
  readonly address: string;
  readonly port: number;
  /** Takes certificates that have been renewed, where their files have changed; true if it did. Throws TlsFileError, and goes on with the old ones. */
  renew(): boolean;
  close(): Promise<void>;
}

/** A certificate or key cannot be read, or they are none, or they do not belong together. */
export class TlsFileError extends Error {
  override readonly name = "TlsFileError";
}

function read(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new TlsFileError(`${file} cannot be read: ${(cause as NodeJS.ErrnoException).code ?? String(cause)}`, {
      cause,
    });
  }
}

/** Throws TlsFileError. */
function contextOf({ cert, key, clientCas }: TlsFiles): SecureContextOptions {
  const ca = clientCas.map(read);
  for (const [index, bytes] of ca.entries()) checkCertificate(bytes, clientCas[index] ?? "");
  const options: SecureContextOptions = { cert: read(cert), key: read(key), ...(ca.length > 0 && { ca }) };
  checkCertificate(options.cert as Buffer, cert);
  try {
    createSecureContext(options);
  } catch (cause) {
    const said = cause instanceof Error ? cause.message : String(cause);
    throw new TlsFileError(`${key} is no key of the certificate in ${cert}: ${said}`, { cause });
  }
  return { ...options, minVersion: "TLSv1.2" };
}

function checkCertificate(bytes: Buffer, file: string): X509Certificate {
  try {
    return new X509Certificate(bytes);
  } catch (cause) {
    throw new TlsFileError(`${file} is no certificate in PEM`, { cause });
  }
}

/** The first name that a certificate is made out to. Throws TlsFileError. */
export function certificateName(file: string): string | null {
  const { subjectAltName, subject } = checkCertificate(read(file), file);
  return /DNS:([^,\s]+)/.exec(subjectAltName ?? "")?.[1] ?? /^CN=(.+)$/m.exec(subject)?.[1] ?? null;
}

/** Changes when one of the files is written or replaced. */
function stampOf(files: TlsFiles): string {
  return [files.cert, files.key, ...files.clientCas]
    .map((file) => {
      const found = statSync(file, { throwIfNoEntry: false });
      return found ? `${found.ino} ${found.mtimeMs} ${found.size}` : "";
    })
    .join("\n");
}

class Renewal {
  readonly #files: TlsFiles;
  readonly #server: http2.Http2SecureServer;
  #stamp: string;

  constructor(files: TlsFiles, server: http2.Http2SecureServer, stamp: string) {
    this.#files = files;
    this.#server = server;
    this.#stamp = stamp;
  }

  look(): boolean {
    const stamp = stampOf(this.#files);
    if (stamp === this.#stamp) return false;
    // What is wrong is told once for each change.
    this.#stamp = stamp;
    this.#server.setSecureContext(contextOf(this.#files));
    return true;
  }
}

type Handler = ReturnType<typeof connectNodeAdapter>;

function createServer(
  tls: TlsFiles | undefined,
  handler: Handler,
): { server: http2.Http2Server | http2.Http2SecureServer; renewal: Renewal | null } {
  if (!tls) return { server: http2.createServer(handler), renewal: null };
  const stamp = stampOf(tls);
  const client = tls.clientCas.length > 0 && { requestCert: true, rejectUnauthorized: true };
  // Browsers speak Connect and gRPC-web over HTTP/1.1 too.
  const server = http2.createSecureServer({ ...contextOf(tls), allowHTTP1: true, ...client }, handler);
  return { server, renewal: new Renewal(tls, server, stamp) };
}

/** A socket file that nobody listens on is what a killed server leaves. */
function removeDead(path: string): Promise<void> {
  return new Promise((resolve) => {
    const socket = net.connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve();
    });
    socket.once("error", ({ code }: NodeJS.ErrnoException) => {
      if (code === "ECONNREFUSED") rmSync(path, { force: true });
      resolve();
    });
  });
}

/** Throws TlsFileError, and what listening throws. */
export async function serveRoutes(options: ServeOptions, routes: (router: ConnectRouter) => void): Promise<Served> {
  const { at, tls } = options;
  const { server, renewal } = createServer(tls, connectNodeAdapter({ routes, readMaxBytes: MAX_REQUEST_BYTES }));
  const sockets = new Set<net.Socket>();
  server.on("connection", (socket: net.Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  const sessions = new Set<http2.ServerHttp2Session>();
  server.on("session", (session: http2.ServerHttp2Session) => {
    sessions.add(session);
    session.on("close", () => sessions.delete(session));
  });
  if ("path" in at) await removeDead(at.path);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(at, resolve);
  });
  if ("path" in at) chmodSync(at.path, 0o600);
  const bound = server.address() as net.AddressInfo | string | null;
  const isBound = bound !== null && typeof bound === "object";
  const host = isBound && bound.family === "IPv6" ? `[${bound.address}]` : isBound ? bound.address : "";
  return {
    address: isBound ? `${host}:${bound.port}` : `unix://${"path" in at ? at.path : ""}`,
    port: isBound ? bound.port : 0,
    renew: () => renewal?.look() ?? false,
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          if ("path" in at) rmSync(at.path, { force: true });
          resolve();
        });
        for (const session of sessions) session.destroy();
        // Those that speak HTTP/1.1, and those that have said nothing yet.
        for (const socket of sockets) socket.destroy();
      }),
  };
}
