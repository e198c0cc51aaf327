// Backends that answer a service's clients themselves: what goes to another node tells it which address and port the client has asked, as Cilium's
// nodes tell each other (bpf/lib/nodeport.h), or goes to the backend in an IP packet as it is.
import {
  config,
  skbAdjustRoom,
  struct,
  u16,
  u32,
  u8,
  array,
  be16,
  u64,
  xdpAdjustHead,
  type PacketContext,
  type TcContext,
  type XdpContext,
} from "@skep/bpf";
import { ipv4Checksum, replaceWord } from "@skep/bpf/checksum";
import { Ethernet, Ipv4, Ipv6, Ipv6Address, PROTOCOL, Tcp } from "@skep/bpf/net";
import type { NextHop } from "./device.bpf.ts";
import type { Address } from "./maps.bpf.ts";
import type { Translation } from "./nat.bpf.ts";
import { DROP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, FRAGMENT_LATER, TCP_SYN, type Packet } from "./packet.bpf.ts";

/**
 * How it is told: 0 the packet goes in another as it is (RFC 2003, 2473), 1 by an option (IPv4) or extension header (IPv6), 2 by an option of a tunnel
 * (geneve.bpf.ts).
 */
export const dispatch = config("lb_dispatch", u8, 1);
export const DISPATCH_IPIP = 0;
export const DISPATCH_OPTION = 1;
export const DISPATCH_GENEVE = 2;

/** Copied into fragments, number 26. What follows is in the order of a little-endian machine. */
const OPTION4 = 0x9a;
const Option4 = struct("DirectOption4", { type: u8, length: u8, port: u16, address: u32 });
/** Skipped by who does not know it, and the same all the way. */
const OPTION6 = 0x1b;
const Option6 = struct("DirectOption6", {
  ...{ nextHeader: u8, words: u8, type: u8, length: u8 },
  ...{ address: Ipv6Address, port: be16, pad: u16 },
});

const TRANSPORT4 = 34;
const TRANSPORT6 = 54;
const HOPS = 64;
/** Offsets that were seen in a packet stay below this: the verifier wants to know. */
const OFFSETS = 0x1fff;

/** How much longer the packet becomes. */
export function overhead(packet: Packet): u32 {
  if (dispatch.value === DISPATCH_IPIP) return packet.isIpv6 !== 0 ? 40 : 20;
  if (!bearsOption(packet)) return 0;
  return packet.isIpv6 !== 0 ? 24 : 8;
}

/** The other node remembers what it is told: of TCP the packet that opens is enough. */
export function bearsOption(packet: Packet): boolean {
  if (packet.fragment === FRAGMENT_LATER || packet.related !== 0) return false;
  return packet.protocol !== PROTOCOL.TCP || (packet.tcpFlags & TCP_SYN) !== 0;
}

/**
 * 0 where a packet of `length` bytes behind Ethernet's header may become longer by `more`; else the most that it may have. `next`: its way, where known.
 */
export function tooLong(length: u32, more: u32, next: NextHop | null): u32 {
  if (!next || next.mtu === 0) return 0;
  return length + more > next.mtu ? next.mtu - more : 0;
}

/** Behind Ethernet's header; of what the kernel cuts into segments the length of one. */
export function lengthOf(ctx: TcContext, packet: Packet): u32 {
  const segment = ctx.gsoSize;
  if (segment === 0) return ctx.length - Ethernet.size;
  let header: u32 = 8;
  if (packet.protocol === PROTOCOL.TCP) {
    // Every segment bears the options.
    const tcp = ctx.header(Tcp, u32(packet.transport) & OFFSETS);
    if (tcp) header = u32(tcp.offset) * 4;
  }
  return u32(packet.transport) - Ethernet.size + header + segment;
}

function swapped(value: u16): u16 {
  return (value << 8) | (value >> 8);
}

/** The room is there, behind the IP header. 0 or a drop code. */
function writeOption(ctx: PacketContext, packet: Packet, asked: Translation): u32 {
  if (packet.isIpv6 !== 0) {
    const ip = ctx.header(Ipv6, Ethernet.size);
    const option = ctx.header(Option6, TRANSPORT6);
    if (!ip || !option) return DROP.INVALID_PACKET;
    option.nextHeader = ip.nextHeader;
    option.words = 2;
    option.type = OPTION6;
    option.length = 20;
    const { address } = asked;
    option.address = { w0: address.w0, w1: address.w1, w2: address.w2, w3: address.w3 };
    option.port = asked.port;
    option.pad = 0;
    ip.nextHeader = PROTOCOL.DESTINATION_OPTIONS;
    ip.length += 24;
    return 0;
  }
  const ip = ctx.header(Ipv4, Ethernet.size);
  const option = ctx.header(Option4, TRANSPORT4);
  if (!ip || !option || ip.ihl > 13) return DROP.INVALID_PACKET;
  const address = asked.address.w3;
  option.type = OPTION4;
  option.length = 8;
  option.port = asked.port;
  option.address = address;
  const length = ip.length;
  ip.ihl = (ip.ihl + 2) & 15;
  ip.length = length + 8;
  // Two words more of header, eight bytes more of packet, and the option.
  let checksum = replaceWord(ip.checksum, length, length + 8);
  checksum = replaceWord(checksum, 0, 0x0200);
  checksum = replaceWord(checksum, 0, (OPTION4 << 8) | 8);
  checksum = replaceWord(checksum, 0, swapped(asked.port));
  checksum = replaceWord(checksum, 0, swapped(u16(address)));
  checksum = replaceWord(checksum, 0, swapped(u16(address >>> 16)));
  ip.checksum = checksum;
  return 0;
}

const NET = 0;
const MAC = 1;
const FIXED_GSO = 1n;
const ENCAP_IPV4 = 2n;
const ENCAP_IPV6 = 4n;

/** 0 or a drop code. */
export function addOption(ctx: TcContext, packet: Packet, asked: Translation): u32 {
  if (skbAdjustRoom(ctx, packet.isIpv6 !== 0 ? 24 : 8, NET, FIXED_GSO) < 0n) return DROP.INVALID_PACKET;
  return writeOption(ctx, packet, asked);
}

/** Ethernet's and IP's headers. */
const Head4 = struct("Head4", { words: array(u64, 4), rest: u16 }, { packed: true });
const Head6 = struct("Head6", { words: array(u64, 6), middle: u32, rest: u16 }, { packed: true });

/** 0 or a drop code. */
export function addOptionXdp(ctx: XdpContext, packet: Packet, asked: Translation): u32 {
  if (packet.isIpv6 !== 0) {
    if (xdpAdjustHead(ctx, -24) !== 0) return DROP.INVALID_PACKET;
    const from = ctx.header(Head6, 24);
    const to = ctx.header(Head6, 0);
    if (!from || !to) return DROP.INVALID_PACKET;
    to.words = from.words;
    to.middle = from.middle;
    to.rest = from.rest;
    return writeOption(ctx, packet, asked);
  }
  if (xdpAdjustHead(ctx, -8) !== 0) return DROP.INVALID_PACKET;
  const from = ctx.header(Head4, 8);
  const to = ctx.header(Head4, 0);
  if (!from || !to) return DROP.INVALID_PACKET;
  to.words = from.words;
  to.rest = from.rest;
  return writeOption(ctx, packet, asked);
}

/** The IP header around a packet of `length` bytes: the room is there. */
function writeOuter(ctx: PacketContext, packet: Packet, source: Address, destination: Address, length: u32): u32 {
  const ethernet = ctx.header(Ethernet, 0);
  if (!ethernet) return DROP.INVALID_PACKET;
  if (packet.isIpv6 !== 0) {
    ethernet.type = ETHERTYPE_IPV6;
    const ip = ctx.header(Ipv6, Ethernet.size);
    if (!ip) return DROP.INVALID_PACKET;
    ip.versionClassFlow = 0x60000000;
    ip.length = u16(length);
    ip.nextHeader = PROTOCOL.IPV6;
    ip.hopLimit = HOPS;
    ip.source = { w0: source.w0, w1: source.w1, w2: source.w2, w3: source.w3 };
    ip.destination = { w0: destination.w0, w1: destination.w1, w2: destination.w2, w3: destination.w3 };
    return 0;
  }
  ethernet.type = ETHERTYPE_IPV4;
  const ip = ctx.header(Ipv4, Ethernet.size);
  if (!ip) return DROP.INVALID_PACKET;
  ip.version = 4;
  ip.ihl = 5;
  ip.tos = 0;
  ip.length = u16(length + Ipv4.size);
  ip.identification = 0;
  ip.fragment = 0;
  ip.ttl = HOPS;
  ip.protocol = PROTOCOL.IPIP;
  ip.source = source.w3;
  ip.destination = destination.w3;
  ip.checksum = ipv4Checksum(ip);
  return 0;
}

/** The packet in an IP packet. 0 or a drop code. */
export function encapsulateTc(ctx: TcContext, packet: Packet, source: Address, destination: Address): u32 {
  const length: u32 = ctx.length - Ethernet.size;
  const isIpv6 = packet.isIpv6 !== 0;
  const flags = FIXED_GSO | (isIpv6 ? ENCAP_IPV6 : ENCAP_IPV4);
  if (skbAdjustRoom(ctx, isIpv6 ? 40 : 20, MAC, flags) < 0n) return DROP.INVALID_PACKET;
  return writeOuter(ctx, packet, source, destination, length);
}

export function encapsulateXdp(ctx: XdpContext, packet: Packet, source: Address, destination: Address): u32 {
  const length: u32 = ctx.length - Ethernet.size;
  if (xdpAdjustHead(ctx, packet.isIpv6 !== 0 ? -40 : -20) !== 0) return DROP.INVALID_PACKET;
  return writeOuter(ctx, packet, source, destination, length);
}

// ---- the backend's side ----

/** Which service the packet was sent to, where it says so: right behind the IP header. */
export function readOption(ctx: PacketContext, packet: Packet, asked: Translation): boolean {
  if (packet.isIpv6 !== 0) {
    if (packet.transport === TRANSPORT6) return false;
    const ip = ctx.header(Ipv6, Ethernet.size);
    const option = ctx.header(Option6, TRANSPORT6);
    if (!ip || ip.nextHeader !== PROTOCOL.DESTINATION_OPTIONS) return false;
    if (!option || option.words !== 2 || option.type !== OPTION6 || option.length !== 20) return false;
    const { address } = option;
    asked.address = { w0: address.w0, w1: address.w1, w2: address.w2, w3: address.w3 };
    asked.port = option.port;
    return true;
  }
  // The whole option is in the header.
  if (packet.transport < TRANSPORT4 + 8) return false;
  const option = ctx.header(Option4, TRANSPORT4);
  if (!option || option.type !== OPTION4 || option.length !== 8) return false;
  asked.address = { w0: 0, w1: 0, w2: 0xffff, w3: option.address };
  asked.port = option.port;
  return true;
}

/** The packet without the option that was read: its workload is told nothing of it. 0 or a drop code. */
export function takeOption(ctx: TcContext, packet: Packet): u32 {
  if (packet.isIpv6 !== 0) {
    const ip = ctx.header(Ipv6, Ethernet.size);
    const option = ctx.header(Option6, TRANSPORT6);
    if (!ip || !option) return DROP.INVALID_PACKET;
    ip.nextHeader = option.nextHeader;
    ip.length -= 24;
    return skbAdjustRoom(ctx, -24, NET, FIXED_GSO) < 0n ? DROP.INVALID_PACKET : 0;
  }
  const ip = ctx.header(Ipv4, Ethernet.size);
  const option = ctx.header(Option4, TRANSPORT4);
  if (!ip || !option) return DROP.INVALID_PACKET;
  const length = ip.length;
  let checksum = replaceWord(ip.checksum, length, length - 8);
  checksum = replaceWord(checksum, 0x0200, 0);
  checksum = replaceWord(checksum, (OPTION4 << 8) | 8, 0);
  checksum = replaceWord(checksum, swapped(option.port), 0);
  checksum = replaceWord(checksum, swapped(u16(option.address)), 0);
  checksum = replaceWord(checksum, swapped(u16(option.address >>> 16)), 0);
  ip.checksum = checksum;
  ip.ihl = (ip.ihl - 2) & 15;
  ip.length = length - 8;
  return skbAdjustRoom(ctx, -8, NET, FIXED_GSO) < 0n ? DROP.INVALID_PACKET : 0;
}
