/**
 * @module
 * Nodes as Hubble's Peer service names them: this one by its socket or port, the others by an address of their CiliumNode objects.
 */
import { tunnelEnd } from "@skep/control";
import { type PeerRow, Peers } from "@skep/flows";
import { formatAddress } from "@skep/net";
import type { Agent } from "./agent.ts";
import { checkHubble, type HubbleOptions, reachedAt, tlsServerName } from "./hubble.ts";

/** Where Cilium's agents serve Hubble's API. */
export const HUBBLE_PORT = 4244;

interface PeerPlace {
  /** Of this node's own API. */
  readonly address: string;
  /** Of the other nodes' API. */
  readonly port: number;
  /** The nodes speak TLS, this one included unless its address is a socket. */
  readonly tls?: boolean;
}

function peerRows(agent: Agent, { address, port, tls = false }: PeerPlace): PeerRow[] {
  const cluster = agent.clusterName;
  const row = (name: string, at: string): PeerRow => {
    const isNamed = tls && !at.startsWith("unix:");
    return { name: `${cluster}/${name}`, address: at, ...(isNamed && { tlsServerName: tlsServerName(name, cluster) }) };
  };
  const others = agent.world.nodes.remote().map(({ name, addresses }): PeerRow => {
    const found = tunnelEnd(addresses, agent.options.tunnelFamily ?? 4);
    const text = found ? formatAddress(found) : "";
    const host = found?.family === 6 ? `[${text}]` : text;
    return row(name, found ? `${host}:${port}` : "");
  });
  return [row(agent.nodeName, address), ...others];
}

interface NodeListOptions {
  /** The socket. */
  readonly here: string;
  readonly hubble?: HubbleOptions;
  readonly hubblePeerPort?: number;
}

/** What the Peer service says on the socket, and what on the port: there this node is named by an address. */
export class NodeLists {
  readonly onSocket = new Peers();
  readonly onPort = new Peers();
  readonly #agent: Agent;
  readonly #options: NodeListOptions;
  readonly #at: { readonly host?: string } | null;
  #port: number;

  constructor(agent: Agent, options: NodeListOptions) {
    this.#agent = agent;
    this.#options = options;
    const at = options.hubble ? checkHubble(options.hubble) : null;
    this.#at = at;
    this.#port = at?.port ?? HUBBLE_PORT;
    this.refresh();
  }

  /** The port that was taken. */
  listens(port: number): void {
    this.#port = port;
    this.refresh();
  }

  /** Nodes may have changed. */
  refresh(): void {
    const { here, hubble, hubblePeerPort: port = this.#port } = this.#options;
    const tls = hubble?.tls !== undefined;
    this.onSocket.set(peerRows(this.#agent, { address: here, port, tls }));
    if (!this.#at) return;
    const address = reachedAt(this.#agent, { ...this.#at, port: this.#port });
    this.onPort.set(peerRows(this.#agent, { address, port, tls }));
  }
}
