// Services whose backends are of the other IP family, and the prefix under which IPv4 hosts have IPv6 addresses (Cilium's NAT46/64 gateway).
import { config, u32, u8 } from "@skep/bpf";
import type { Address } from "./maps.bpf.ts";
import type { Packet } from "./packet.bpf.ts";

/** Off: what would have to be translated is dropped (161). */
export const nat46x64 = config("nat_46x64", u8, 0);
/** What goes to the prefix is sent to the IPv4 host that it names. */
export const nat64Gateway = config("nat_46x64_gateway", u8, 0);
/** The first word of a prefix of 96 bits whose other words are 0: 64:ff9b::/96 (RFC 6052). */
export const nat64Prefix = config("nat_46x64_prefix", u32, 0x0064ff9b);
/** Whom a workload of this node sees where the client has no address of its family. */
export const nat64Local = config("nat_46x64_local", u32, 0xa9fe2a02);

export function isMapped(address: Address): boolean {
  return address.w0 === 0 && address.w1 === 0 && address.w2 === 0xffff;
}

export function isOtherFamily(packet: Packet, address: Address): boolean {
  return isMapped(address) !== (packet.isIpv6 === 0);
}

/** The address says which IPv4 host is meant. */
export function isEmbedded(address: Address): boolean {
  return address.w0 === nat64Prefix.value && (address.w1 | address.w2) === 0;
}

export function embedded(ip4: u32): Address {
  return { w0: nat64Prefix.value, w1: 0, w2: 0, w3: ip4 };
}

/** The packet is for an IPv4 host, and this node is the gateway. */
export function isForGateway(packet: Packet): boolean {
  return nat64Gateway.value !== 0 && packet.isIpv6 !== 0 && isEmbedded(packet.destination);
}
