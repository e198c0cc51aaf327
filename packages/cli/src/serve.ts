/**
 * @module
 * Hubble's API where the options of a command say, with what is wrong with them as its errors.
 */
import type { ConnectRouter } from "@connectrpc/connect";
import { certificateName as nameIn, type Place, type Served, serveRoutes, TlsFileError } from "@skep/flows";
import { CliError, systemCode, usageError } from "./errors.ts";

export type { Served } from "@skep/flows";

export interface ServeOptions {
  /** `unix://PATH` or `HOST:PORT`. */
  readonly listen: string;
  readonly tlsCertFile?: string;
  readonly tlsKeyFile?: string;
  /** Clients must have a certificate of this authority. */
  readonly tlsClientCaFile?: string;
}

function asked<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (error instanceof TlsFileError) throw usageError(error.message, { cause: error });
    throw error;
  }
}

/** The first name that a certificate is made out to. Throws a usage error where the file cannot be read. */
export function certificateName(file: string): string | null {
  return asked(() => nameIn(file));
}

function tlsOf({ tlsCertFile, tlsKeyFile, tlsClientCaFile }: ServeOptions): Parameters<typeof serveRoutes>[0]["tls"] {
  if (tlsCertFile === undefined && tlsKeyFile === undefined) {
    if (tlsClientCaFile !== undefined)
      throw usageError("--listen-tls-client-ca-file needs the server's own certificate");
    return undefined;
  }
  if (tlsCertFile === undefined || tlsKeyFile === undefined) {
    throw usageError("--listen-tls-cert-file and --listen-tls-key-file go together");
  }
  return { cert: tlsCertFile, key: tlsKeyFile, clientCas: tlsClientCaFile === undefined ? [] : [tlsClientCaFile] };
}

function place(listen: string): Place {
  if (listen.startsWith("unix:")) return { path: listen.replace(/^unix:(\/\/)?/, "") };
  const [, host = "", port = ""] = /^(.*):(\d{1,5})$/.exec(listen) ?? [];
  if (port === "" || Number(port) > 65_535)
    throw usageError(`"${listen}" is not an address: write HOST:PORT or unix://PATH`);
  return { host: host.replace(/^\[(.*)\]$/, "$1") || "127.0.0.1", port: Number(port) };
}

function listenError(error: unknown, listen: string): Error {
  if (error instanceof TlsFileError) return usageError(error.message, { cause: error });
  const code = systemCode(error);
  if (code === null) return error instanceof Error ? error : new Error(String(error));
  const mend = code === "EADDRINUSE" ? "another server is there: give this one another address" : code;
  return new CliError(`cannot listen on ${listen}: ${mend}`, 1, { cause: error });
}

export async function serve(options: ServeOptions, routes: (router: ConnectRouter) => void): Promise<Served> {
  const tls = tlsOf(options);
  const at = place(options.listen);
  try {
    return await serveRoutes({ at, ...(tls && { tls }) }, routes);
  } catch (error) {
    throw listenError(error, options.listen);
  }
}
