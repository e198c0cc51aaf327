// What a client is told where a service has no backend: a reset for TCP, else that the port is unreachable. The packet becomes the answer to itself.
import {
  array,
  be32,
  config,
  csumDiff,
  skbChangeTail,
  skbLoadBytes,
  skbStoreBytes,
  struct,
  u16,
  u32,
  u8,
} from "@skep/bpf";
import type { TcContext } from "@skep/bpf";
import { foldChecksum, ipv4Checksum } from "@skep/bpf/checksum";
import { Ethernet, Ipv4, Ipv6, PROTOCOL, Tcp } from "@skep/bpf/net";
import { Address } from "./maps.bpf.ts";
import { FRAGMENT_LATER, TCP_ACK, TCP_FIN, TCP_RST, TCP_SYN, type Packet } from "./packet.bpf.ts";

/** Packets to a service without a backend are answered. */
export const refusesAloud = config("lb_reject", u8, 1);

/** RFC 8200, 8.1. IPv4's is the same: what a mapped address has more sums up to nothing. */
const Pseudo = struct("Pseudo", { source: Address, destination: Address, length: be32, protocol: be32 });

/** An IP header without options and eight bytes of what follows (RFC 792). */
const Unreachable4 = struct("Unreachable4", {
  type: u8,
  code: u8,
  checksum: u16,
  rest: be32,
  quoted: struct("Quoted4", { words: array(u32, 7) }),
});
const Unreachable6 = struct("Unreachable6", {
  type: u8,
  code: u8,
  checksum: u16,
  rest: be32,
  quoted: struct("Quoted6", { words: array(u32, 12) }),
});
/** A TCP header whose checksum is as it is in memory. */
const Reset = struct("Reset", {
  ports: be32,
  sequence: be32,
  acknowledgement: be32,
  offset: u8,
  flags: u8,
  window: u16,
  checksum: u16,
  urgent: u16,
});

const HOPS = 64;
const DO_NOT_FRAGMENT = 0x4000;

/** The sum of the pseudo header of the answer. */
function pseudoSum(packet: Packet, protocol: u8, length: u32): u32 {
  const pseudo = Pseudo.zero();
  pseudo.source = packet.destination;
  pseudo.destination = packet.source;
  pseudo.length = length;
  pseudo.protocol = protocol;
  return u32(csumDiff(null, pseudo, 0));
}

/** Cuts or stretches the packet to `length` bytes behind an IP header that goes the other way. */
function writeIp(ctx: TcContext, packet: Packet, protocol: u8, length: u16): boolean {
  if (packet.isIpv6 !== 0) {
    if (skbChangeTail(ctx, Ethernet.size + Ipv6.size + length, 0n) < 0n) return false;
    const ip = Ipv6.zero();
    ip.versionClassFlow = 0x60000000;
    ip.length = length;
    ip.nextHeader = protocol;
    ip.hopLimit = HOPS;
    ip.source = packet.destination;
    ip.destination = packet.source;
    return skbStoreBytes(ctx, Ethernet.size, ip, 0n) === 0n;
  }
  if (skbChangeTail(ctx, Ethernet.size + Ipv4.size + length, 0n) < 0n) return false;
  const ip = Ipv4.zero();
  ip.version = 4;
  ip.ihl = 5;
  ip.length = u16(Ipv4.size + length);
  ip.fragment = DO_NOT_FRAGMENT;
  ip.ttl = HOPS;
  ip.protocol = protocol;
  ip.source = packet.destination.w3;
  ip.destination = packet.source.w3;
  ip.checksum = ipv4Checksum(ip);
  return skbStoreBytes(ctx, Ethernet.size, ip, 0n) === 0n;
}

function transportOffset(packet: Packet): u32 {
  return packet.isIpv6 !== 0 ? Ethernet.size + Ipv6.size : Ethernet.size + Ipv4.size;
}

/** RFC 9293, 3.10.7.1: what belongs to no connection. */
function reset(ctx: TcContext, packet: Packet): boolean {
  const tcp = ctx.header(Tcp, u32(packet.transport) & 0x1fff);
  if (!tcp || (tcp.flags & TCP_RST) !== 0) return false;
  const answer = Reset.zero();
  answer.ports = (u32(packet.destinationPort) << 16) | u32(packet.sourcePort);
  answer.offset = 0x50;
  if ((tcp.flags & TCP_ACK) !== 0) {
    answer.sequence = tcp.acknowledgement;
    answer.flags = TCP_RST;
  } else {
    const data = ctx.length - u32(packet.transport) - u32(tcp.offset) * 4;
    const syn: u32 = (tcp.flags & TCP_SYN) !== 0 ? 1 : 0;
    const fin: u32 = (tcp.flags & TCP_FIN) !== 0 ? 1 : 0;
    answer.acknowledgement = tcp.sequence + data + syn + fin;
    answer.flags = TCP_RST | TCP_ACK;
  }
  answer.checksum = sumOf(answer, pseudoSum(packet, PROTOCOL.TCP, Reset.size));
  return (
    writeIp(ctx, packet, PROTOCOL.TCP, Reset.size) && skbStoreBytes(ctx, transportOffset(packet), answer, 0n) === 0n
  );
}

/** The checksum as it stands in memory. */
function sumOf<T>(part: T, seed: u32): u16 {
  return ~foldChecksum(u32(csumDiff(null, part, seed)));
}

function unreachable4(ctx: TcContext, packet: Packet, mtu: u32): boolean {
  const answer = Unreachable4.zero();
  answer.type = 3;
  answer.code = mtu === 0 ? 3 : 4;
  answer.rest = mtu;
  if (skbLoadBytes(ctx, Ethernet.size, answer.quoted) < 0n) return false;
  answer.checksum = sumOf(answer, 0);
  return (
    writeIp(ctx, packet, PROTOCOL.ICMP, Unreachable4.size) &&
    skbStoreBytes(ctx, transportOffset(packet), answer, 0n) === 0n
  );
}

function unreachable6(ctx: TcContext, packet: Packet, mtu: u32): boolean {
  const answer = Unreachable6.zero();
  answer.type = mtu === 0 ? 1 : 2;
  answer.code = mtu === 0 ? 4 : 0;
  answer.rest = mtu;
  if (skbLoadBytes(ctx, Ethernet.size, answer.quoted) < 0n) return false;
  answer.checksum = sumOf(answer, pseudoSum(packet, PROTOCOL.ICMPV6, Unreachable6.size));
  return (
    writeIp(ctx, packet, PROTOCOL.ICMPV6, Unreachable6.size) &&
    skbStoreBytes(ctx, transportOffset(packet), answer, 0n) === 0n
  );
}

/** Whether the packet is now an answer to its sender, but for the Ethernet header. */
export function refuse(ctx: TcContext, packet: Packet): boolean {
  if (packet.fragment === FRAGMENT_LATER || packet.related !== 0) return false;
  if (packet.protocol === PROTOCOL.TCP) return reset(ctx, packet);
  return packet.isIpv6 !== 0 ? unreachable6(ctx, packet, 0) : unreachable4(ctx, packet, 0);
}

/** The sender is told that `mtu` bytes are the most (RFC 1191, RFC 8201). As `refuse`. */
export function refuseLength(ctx: TcContext, packet: Packet, mtu: u32): boolean {
  if (packet.fragment === FRAGMENT_LATER || packet.related !== 0) return false;
  return packet.isIpv6 !== 0 ? unreachable6(ctx, packet, mtu) : unreachable4(ctx, packet, mtu);
}
