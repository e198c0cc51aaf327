// Egress gateways: what certain workloads send to certain prefixes of the world leaves by one node, with an address of that node (CiliumEgressGatewayPolicy).
import { config, lpmTrie, struct, u32, u8, type Of } from "@skep/bpf";
import { Address } from "./maps.bpf.ts";
import type { Packet } from "./packet.bpf.ts";

/** Off: nothing is looked up. */
export const egressGateway = config("egress_gateway", u8, 0);

/** `prefixLength`: 128 bits of the workload's address, then those of the destination's prefix. */
export const EgressKey = struct("EgressKey", { prefixLength: u32, source: Address, destination: Address });
/** `gateway`: address of the other node; `address`: what the source becomes, zeros where this node has none to give. */
export const EgressEntry = struct("EgressEntry", { gateway: Address, address: Address, kind: u32 });
export type EgressEntry = Of<typeof EgressEntry>;
export const egress = lpmTrie("skep_egress", { key: EgressKey, value: EgressEntry, maxEntries: 16_384 });

/** No node is chosen. */
export const EGRESS_NONE = 0;
/** As if there were no policy. */
export const EGRESS_EXCLUDED = 1;
/** By this node. */
export const EGRESS_HERE = 2;
/** By another one. */
export const EGRESS_THERE = 3;

/** What the packet's ends are told; null: nothing. */
export function egressOf(packet: Packet): EgressEntry | null {
  const key = EgressKey.zero();
  key.prefixLength = 256;
  key.source = packet.source;
  key.destination = packet.destination;
  const entry = egress.get(key);
  return entry && entry.kind !== EGRESS_EXCLUDED ? entry : null;
}
