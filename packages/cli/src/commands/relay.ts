/**
 * @module
 * `skep relay`: several agents' flows behind one server of Hubble's API.
 */
import { observerRoutes, Relay, type RelayPeer } from "@skep/flows";
import { connectServer, type FlowSource } from "../client.ts";
import { usageError } from "../errors.ts";
import { note } from "../output/print.ts";
import { certificateName, serve } from "../serve.ts";
import { VERSION } from "../version.ts";

export interface RelayOptions extends Omit<FlowSource, "run" | "server"> {
  readonly peer: readonly string[];
  readonly listen: string;
  readonly name: string;
  readonly listenTlsCertFile?: string;
  readonly listenTlsKeyFile?: string;
  readonly listenTlsClientCaFile?: string;
}

interface OpenPeer extends RelayPeer {
  close(): void;
}

function openPeer(text: string, options: RelayOptions): OpenPeer {
  const [, name = "", server = ""] = /^([^=]+)=(.+)$/.exec(text) ?? [];
  if (name === "") throw usageError(`"${text}" is not a peer: write it as NAME=SERVER`);
  const client = connectServer(server, { run: "", ...options });
  const tls = options.tls === true || server.startsWith("tls://");
  return { name, address: server, tls, client: client.observer, close: () => client.close() };
}

export async function relay(options: RelayOptions): Promise<void> {
  const peers = options.peer.map((each) => openPeer(each, options));
  const names = new Set(peers.map((peer) => peer.name));
  if (names.size < peers.length) throw usageError("two peers have the same name");
  const flows = new Relay({ name: options.name, version: VERSION, peers, now: () => Date.now() });
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
      const name = listenTlsCertFile === undefined ? null : certificateName(listenTlsCertFile);
      observerRoutes(router, flows, { address: listen, ...(name !== null && { tlsServerName: name }) });
    },
  );
  note(`relaying ${peers.length} ${peers.length === 1 ? "node" : "nodes"} on ${server.address}`);
  await ended;
  await server.close();
  for (const peer of peers) peer.close();
}
