/**
 * @module
 * Hubble's API on a port, for relays and clients elsewhere: its own services alone, which change nothing. Beyond loopback with TLS only.
 */
import type { Address } from "@skep/net";
import { formatAddress } from "@skep/net";
import {
  type FlowServer,
  observerRoutes,
  type PeerDirectory,
  serveRoutes,
  type TlsFiles,
  TlsFileError,
} from "@skep/flows";
import type { Agent } from "./agent.ts";
import { ownInterfaces } from "./devices.ts";
import { errorText, type Logger } from "./log.ts";

export interface HubbleOptions {
  /** `HOST:PORT`, or `:PORT` for all addresses; the port 0 is any free one. */
  readonly listen: string;
  readonly tls?: TlsFiles;
}

/** The address to serve Hubble's API on cannot be taken, or is not safe without TLS. */
export class HubbleListenError extends Error {
  override readonly name = "HubbleListenError";
}

export interface RunningHubble {
  /** With the port that was taken. */
  readonly address: string;
  readonly port: number;
  /** Once a second: certificates that have been renewed are taken. */
  look(): void;
  close(): Promise<void>;
}

const isLoopback = (host: string): boolean => host === "localhost" || host === "::1" || /^127(\.\d+){3}$/.test(host);

/** Throws HubbleListenError. */
export function checkHubble({ listen, tls }: HubbleOptions): { readonly host?: string; readonly port: number } {
  const found = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(listen);
  const host = found?.[1] ?? found?.[2] ?? "";
  const port = Number(found?.[3] ?? NaN);
  if (!found || port > 65_535)
    throw new HubbleListenError(`"${listen}" is no address: write it as 127.0.0.1:4244, or :4244 for all addresses`);
  if (!tls && !isLoopback(host))
    throw new HubbleListenError(
      `Hubble's API tells who talks to whom: beyond loopback it is served with TLS only. ${listen} needs a certificate and its key`,
    );
  return host === "" ? { port } : { host, port };
}

/** The name that a node's certificate is made out to, as Cilium's: `NODE.CLUSTER.hubble-grpc.cilium.io`. */
export function tlsServerName(node: string, cluster: string): string {
  const part = (name: string): string => name.replaceAll(".", "-");
  return `${part(node)}.${part(cluster)}.hubble-grpc.cilium.io`;
}

const isAny = (host: string): boolean => /^[0:.]*$/.test(host);

/** Where others reach what listens at `place`. Empty where that is not known. */
export function reachedAt(
  agent: Agent,
  { host = "", port }: { readonly host?: string; readonly port: number },
): string {
  const written = (name: string): string => (name.includes(":") ? `[${name}]:${port}` : `${name}:${port}`);
  if (!isAny(host)) return written(host);
  const family = agent.options.tunnelFamily ?? 4;
  const known = agent.world.nodes.own()?.addresses ?? [];
  const { machine, devices = [] } = agent.options;
  const ofDevices = ownInterfaces(machine, devices).flatMap(({ addresses }) => addresses);
  const isOf = (address: Address): boolean => address.family === family;
  const found = known.find(isOf) ?? known[0] ?? ofDevices.find(isOf) ?? ofDevices[0];
  return found ? written(formatAddress(found)) : "";
}

export interface HubbleParts {
  readonly flows: FlowServer;
  /** Nodes as the Peer service names them on the port. */
  readonly peers: PeerDirectory;
  readonly log: Logger;
}

/** Throws HubbleListenError. */
export async function serveHubble(options: HubbleOptions, { flows, peers, log }: HubbleParts): Promise<RunningHubble> {
  const at = checkHubble(options);
  const { listen, tls } = options;
  if (tls?.clientCas.length === 0 && !isLoopback(at.host ?? ""))
    log.warn("whoever reaches Hubble's API can read the flows: no authority of clients is named", { listen });
  try {
    const server = await serveRoutes({ at, ...(tls && { tls }) }, (router) => observerRoutes(router, flows, { peers }));
    return {
      address: server.address,
      port: server.port,
      look: () => {
        try {
          if (server.renew()) log.info("the certificates of Hubble's API have been read again", { listen });
        } catch (error) {
          if (!(error instanceof TlsFileError)) throw error;
          log.error("the old certificate of Hubble's API stays", { error: errorText(error) });
        }
      },
      close: () => server.close(),
    };
  } catch (cause) {
    if (cause instanceof TlsFileError) throw new HubbleListenError(`Hubble's API: ${cause.message}`, { cause });
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === undefined) throw cause;
    throw new HubbleListenError(`Hubble's API cannot be served on ${listen}: ${message}`, { cause });
  }
}
