/**
 * @module
 * `skep relay`: several agents' flows behind one server of Hubble's API.
 */
import {
  FollowedList,
  mapFollowed,
  type OpenPeer,
  observerRoutes,
  type PeerDirectory,
  type PeerRow,
  Relay,
  type RelayPeer,
  type Served,
  ServicePeers,
  TlsFileError,
} from "@skep/flows";
import { type AgentClient, callError, connectServer, type FlowSource } from "../client.ts";
import { usageError } from "../errors.ts";
import { note } from "../output/print.ts";
import { serve } from "../serve.ts";
import { VERSION } from "../version.ts";

export interface RelayOptions extends Omit<FlowSource, "run" | "server"> {
  readonly peer?: readonly string[];
  readonly peerService?: string;
  readonly listen: string;
  readonly name: string;
  readonly listenTlsCertFile?: string;
  readonly listenTlsKeyFile?: string;
  readonly listenTlsClientCaFile?: string;
}

/** Where Cilium's agents serve Hubble's API. */
const PEER_PORT = 4244;

function openPeer(name: string, server: string, options: RelayOptions): OpenPeer {
  const client = connectServer(server, { run: "", ...options });
  const tls = (options.tls === true || server.startsWith("tls://")) && !server.startsWith("unix:");
  const { tlsServerName } = options;
  return {
    ...{ name, address: server, tls, client: client.observer, close: () => client.close() },
    ...(tls && tlsServerName !== undefined && { tlsServerName }),
  };
}

function openFixed(text: string, options: RelayOptions): OpenPeer {
  const [, name = "", server = ""] = /^([^=]+)=(.+)$/.exec(text) ?? [];
  if (name === "") throw usageError(`"${text}" is not a peer: write it as NAME=SERVER`);
  return openPeer(name, server, options);
}

/** A node that a peer service names: it says itself whether it speaks TLS and whom to expect in its certificate. */
function openNamed({ name, address, tlsServerName = "" }: PeerRow, options: RelayOptions): OpenPeer {
  if (address.startsWith("unix:")) return openPeer(name, address, options);
  const hasPort = /:\d+$/.test(address.replace(/\[[^\]]*\]/, ""));
  const place = hasPort ? address : `${address}:${PEER_PORT}`;
  if (tlsServerName === "") return openPeer(name, place, options);
  return openPeer(name, place, { ...options, tls: true, tlsServerName });
}

function followService(service: AgentClient, options: RelayOptions, fixed: readonly OpenPeer[]): ServicePeers {
  let told = "";
  return new ServicePeers({
    ...{ fixed, notify: (signal) => service.peer.notify({}, { signal }) },
    open: (row) => openNamed(row, options),
    onError: (error) => {
      const text = callError(error, service.socket).message;
      if (text !== told) note(`the peer service at ${service.socket}: ${text}`);
      told = text;
    },
  });
}

export async function relay(options: RelayOptions): Promise<void> {
  const { peer = [], peerService } = options;
  if (peer.length === 0 && peerService === undefined) throw usageError("a relay needs --peer-service or --peer");
  const fixed = peer.map((each) => openFixed(each, options));
  const names = new Set(fixed.map(({ name }) => name));
  if (names.size < fixed.length) throw usageError("two peers have the same name");
  const service = peerService === undefined ? null : connectServer(peerService, { run: "", ...options });
  const followed = service && followService(service, options, fixed);
  const close = async (): Promise<void> => {
    await followed?.close();
    service?.close();
    for (const each of fixed) each.close();
  };
  try {
    const peers = followed ?? new FollowedList<RelayPeer>(fixed);
    const flows = new Relay({ name: options.name, version: VERSION, peers, now: () => Date.now() });
    const named = `${fixed.length} ${fixed.length === 1 ? "node" : "nodes"}`;
    const what = service ? `the nodes that ${service.socket} names${fixed.length > 0 ? ` and ${named}` : ""}` : named;
    await serveUntilAsked(flows, options, { what, peers: mapFollowed(peers, rowOf) });
  } finally {
    await close();
  }
}

/** As the relay's own Peer service names a node. */
function rowOf({ name, address, tls, tlsServerName = "" }: RelayPeer): PeerRow {
  const bare = address.replace(/^(tls|tcp):\/\//, "");
  return { name, address: bare, ...(tls === true && { tlsServerName }) };
}

const RENEW_MS = 1000;

/** Certificates that are renewed are taken without a restart. */
function renewing(server: Served): NodeJS.Timeout {
  return setInterval(() => {
    try {
      if (server.renew()) note("the certificates have been read again");
    } catch (error) {
      if (!(error instanceof TlsFileError)) throw error;
      note(`the old certificate stays: ${error.message}`);
    }
  }, RENEW_MS);
}

async function serveUntilAsked(
  flows: Relay,
  options: RelayOptions,
  { what, peers }: { readonly what: string; readonly peers: PeerDirectory },
): Promise<void> {
  const ended = new Promise<void>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
  });
  const { listen, listenTlsCertFile, listenTlsKeyFile, listenTlsClientCaFile } = options;
  const server = await serve(
    {
      listen,
      ...(listenTlsCertFile !== undefined && { tlsCertFile: listenTlsCertFile }),
      ...(listenTlsKeyFile !== undefined && { tlsKeyFile: listenTlsKeyFile }),
      ...(listenTlsClientCaFile !== undefined && { tlsClientCaFile: listenTlsClientCaFile }),
    },
    (router) => {
      observerRoutes(router, flows, { peers });
    },
  );
  const renewal = renewing(server);
  note(`relaying ${what} on ${server.address}`);
  await ended;
  clearInterval(renewal);
  await server.close();
}
