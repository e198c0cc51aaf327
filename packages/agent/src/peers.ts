/**
 * @module
 * Nodes as Hubble's Peer service names them: this one by its socket, the others by an address of their CiliumNode objects.
 */
import { tunnelEnd } from "@skep/control";
import type { PeerRow } from "@skep/flows";
import { formatAddress } from "@skep/net";
import type { Agent } from "./agent.ts";

/** Where Cilium's agents serve Hubble's API. */
export const HUBBLE_PORT = 4244;

/** `address`: of this node's own API. `port`: of the other nodes' API. */
export function peerRows(agent: Agent, { address, port }: { address: string; port: number }): PeerRow[] {
  const others = agent.world.nodes.remote().map(({ name, addresses }): PeerRow => {
    const found = tunnelEnd(addresses, agent.options.tunnelFamily ?? 4);
    const text = found ? formatAddress(found) : "";
    const host = found?.family === 6 ? `[${text}]` : text;
    return { name: `default/${name}`, address: found ? `${host}:${port}` : "" };
  });
  return [{ name: `default/${agent.nodeName}`, address }, ...others];
}
