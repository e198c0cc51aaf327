// Backends that answer a service's clients themselves, told by a tunnel (RFC 8926): an option of Cilium's class says which address and port the
// client has asked (bpf/lib/tunnel.h, encap.h). The tunnel is written and read here, packet by packet: no device of the kernel stands behind it.
import {
  be16,
  be32,
  i32,
  skbAdjustRoom,
  struct,
  u16,
  u32,
  u8,
  xdpAdjustHead,
  type Of,
  type PacketContext,
  type TcContext,
  type XdpContext,
} from "@skep/bpf";
import { ipv4Checksum } from "@skep/bpf/checksum";
import { Ethernet, ETHERTYPE, Geneve, GeneveOption, Ipv4, Ipv6, Ipv6Address, PORT, PROTOCOL, Udp } from "@skep/bpf/net";
import { bearsOption, dispatch, DISPATCH_GENEVE } from "./direct.bpf.ts";
import { endpointsByAddress, type Address } from "./maps.bpf.ts";
import type { Translation } from "./nat.bpf.ts";
import { DROP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, type Packet } from "./packet.bpf.ts";

/** Cilium's, of which who does not know it takes no packet (RFC 8926, 3.5). */
const CLASS = 0x014b;
const TYPE = 0x81;
const CRITICAL_OPTION = 0x80;
/** Of the tunnel's header: such an option follows. */
const CRITICAL = 0x40;

const Asked4 = struct("GeneveAsked4", { class: be16, type: u8, words: u8, w3: be32, port: be16, pad: u16 });
const Asked6 = struct("GeneveAsked6", { class: be16, type: u8, words: u8, address: Ipv6Address, port: be16, pad: u16 });
const WORDS4 = 2;
const WORDS6 = 5;

const WORLD = 2;
const HOPS = 64;
const HEADERS: u32 = Udp.size + Geneve.size;
/** What the tunnel puts in front, without the option. */
const TUNNEL4: u32 = Ethernet.size + Ipv4.size + HEADERS;
const TUNNEL6: u32 = Ethernet.size + Ipv6.size + HEADERS;
/** Offsets that were seen in a packet stay below this: the verifier wants to know. */
const OFFSETS = 0x1fff;
/** A tunnel's source port says which flow is in it (RFC 8926, 3.3). */
const FIRST_SOURCE = 0xc000;
const SOURCES = 0x3fff;

const isMapped = (address: Address): boolean => address.w0 === 0 && address.w1 === 0 && address.w2 === 0xffff;

/** How much longer the packet becomes on its way to the node. */
export function tunnelOverhead(packet: Packet, remote: Address): u32 {
  let more: u32 = isMapped(remote) ? TUNNEL4 : TUNNEL6;
  if (bearsOption(packet)) more += packet.isIpv6 !== 0 ? Asked6.size : Asked4.size;
  return more;
}

// ---- the way there ----

function sourcePort(packet: Packet): u16 {
  const { source, destination } = packet;
  let hash: u32 = source.w1 ^ source.w2 ^ source.w3 ^ (destination.w1 ^ destination.w2 ^ destination.w3);
  hash ^= (u32(packet.sourcePort) << 16) | packet.destinationPort;
  hash *= 0x9e3779b1;
  return u16(FIRST_SOURCE | ((hash >>> 16) & SOURCES));
}

/** Ethernet's type and the IP header. The offset behind them; 0 where they are out of reach. */
function writeIp(ctx: PacketContext, source: Address, remote: Address, length: u32): u32 {
  const ethernet = ctx.header(Ethernet, 0);
  if (!ethernet) return 0;
  if (isMapped(remote)) {
    ethernet.type = ETHERTYPE_IPV4;
    const ip = ctx.header(Ipv4, Ethernet.size);
    if (!ip) return 0;
    ip.version = 4;
    ip.ihl = 5;
    ip.tos = 0;
    ip.length = u16(length);
    ip.identification = 0;
    ip.fragment = 0;
    ip.ttl = HOPS;
    ip.protocol = PROTOCOL.UDP;
    ip.source = source.w3;
    ip.destination = remote.w3;
    ip.checksum = ipv4Checksum(ip);
    return Ethernet.size + Ipv4.size;
  }
  ethernet.type = ETHERTYPE_IPV6;
  const ip = ctx.header(Ipv6, Ethernet.size);
  if (!ip) return 0;
  ip.versionClassFlow = 0x60000000;
  ip.length = u16(length - Ipv6.size);
  ip.nextHeader = PROTOCOL.UDP;
  ip.hopLimit = HOPS;
  ip.source = { w0: source.w0, w1: source.w1, w2: source.w2, w3: source.w3 };
  ip.destination = { w0: remote.w0, w1: remote.w1, w2: remote.w2, w3: remote.w3 };
  return Ethernet.size + Ipv6.size;
}

function writeAsked(ctx: PacketContext, packet: Packet, at: u32, asked: Translation): boolean {
  const { address, port } = asked;
  if (packet.isIpv6 !== 0) {
    const option = ctx.header(Asked6, at);
    if (!option) return false;
    option.class = CLASS;
    option.type = TYPE;
    option.words = WORDS6;
    option.address = { w0: address.w0, w1: address.w1, w2: address.w2, w3: address.w3 };
    option.port = port;
    option.pad = 0;
    return true;
  }
  const option = ctx.header(Asked4, at);
  if (!option) return false;
  option.class = CLASS;
  option.type = TYPE;
  option.words = WORDS4;
  option.w3 = address.w3;
  option.port = port;
  option.pad = 0;
  return true;
}

/** The same on every node (overlay.bpf.ts): a device of the kernel takes the frame as its own. */
function writeInner(ctx: PacketContext, packet: Packet, at: u32): boolean {
  const ethernet = ctx.header(Ethernet, at);
  if (!ethernet) return false;
  ethernet.destination = [0x0e, 0x53, 0x4b, 0x45, 0x50, 0x01];
  ethernet.source = [0x0e, 0x53, 0x4b, 0x45, 0x50, 0x02];
  ethernet.type = packet.isIpv6 !== 0 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4;
  return true;
}

/** Where the tunnel leads, and what it says. */
export interface Tunnel {
  readonly source: Address;
  readonly remote: Address;
  readonly asked: Translation;
}

/** All that stands before the packet of `length` bytes behind the IP header's place: the room is there. 0 or a drop code. */
function writeTunnel(ctx: PacketContext, packet: Packet, tunnel: Tunnel, length: u32): u32 {
  const isTold = bearsOption(packet);
  const at = writeIp(ctx, tunnel.source, tunnel.remote, length);
  if (at === 0) return DROP.INVALID_PACKET;
  const udp = ctx.header(Udp, at);
  if (!udp) return DROP.INVALID_PACKET;
  udp.source = sourcePort(packet);
  udp.destination = PORT.GENEVE;
  udp.length = u16(length - (at - Ethernet.size));
  // None (RFC 8926, 3.3; RFC 6935 of IPv6): what is inside has its own.
  udp.checksum = 0;
  const geneve = ctx.header(Geneve, at + Udp.size);
  if (!geneve) return DROP.INVALID_PACKET;
  geneve.protocol = ETHERTYPE.BRIDGED;
  geneve.vni = WORLD << 8;
  geneve.flags = isTold ? CRITICAL : 0;
  geneve.options = isTold ? (packet.isIpv6 !== 0 ? WORDS6 + 1 : WORDS4 + 1) : 0;
  let inner: u32 = at + HEADERS;
  if (isTold) {
    if (!writeAsked(ctx, packet, inner, tunnel.asked)) return DROP.INVALID_PACKET;
    inner += packet.isIpv6 !== 0 ? Asked6.size : Asked4.size;
  }
  return writeInner(ctx, packet, inner) ? 0 : DROP.INVALID_PACKET;
}

const MAC = 1;
const FIXED_GSO = 1n;
const ENCAP_IPV4 = 2n;
const ENCAP_IPV6 = 4n;
const ENCAP_UDP = 16n;
const ENCAP_ETHERNET = 64n;
const ETHERNET_SIZE = 14n << 56n;
const DECAP_IPV4 = 0x80n;
const DECAP_IPV6 = 0x100n;

/** 0 or a drop code. */
export function tunnelTc(ctx: TcContext, packet: Packet, tunnel: Tunnel): u32 {
  const more = tunnelOverhead(packet, tunnel.remote);
  const length: u32 = ctx.length - Ethernet.size + more;
  const outer = isMapped(tunnel.remote) ? ENCAP_IPV4 : ENCAP_IPV6;
  const flags = FIXED_GSO | outer | ENCAP_UDP | ENCAP_ETHERNET | ETHERNET_SIZE;
  if (skbAdjustRoom(ctx, i32(more), MAC, flags) < 0n) return DROP.INVALID_PACKET;
  return writeTunnel(ctx, packet, tunnel, length);
}

/** 0 or a drop code. */
export function tunnelXdp(ctx: XdpContext, packet: Packet, tunnel: Tunnel): u32 {
  const more = tunnelOverhead(packet, tunnel.remote);
  const length: u32 = ctx.length - Ethernet.size + more;
  if (xdpAdjustHead(ctx, -i32(more)) !== 0) return DROP.INVALID_PACKET;
  return writeTunnel(ctx, packet, tunnel, length);
}

// ---- the backend's side ----

/** Whether it is for the program that reads tunnels: what `packet` says is of the outer headers. */
export function isDirectTunnel(packet: Packet): boolean {
  return (
    dispatch.value === DISPATCH_GENEVE &&
    packet.protocol === PROTOCOL.UDP &&
    packet.destinationPort === PORT.GENEVE &&
    packet.fragment === 0
  );
}

/** Of options that others may have put there; Cilium writes one. */
const MOST_OPTIONS = 8;

/** What the tunnel's headers say. `inner`: where the frame in it begins. */
export const Arrival = struct("GeneveArrival", { inner: u32, isIpv6: u8, isTold: u8, pad: u16 });
export type Arrival = Of<typeof Arrival>;

/** Whether the frame in the tunnel is for a workload of this node; `arrival` says where it stands. */
export function opensHere(ctx: PacketContext, packet: Packet, arrival: Arrival): boolean {
  const at: u32 = u32(packet.transport) & OFFSETS;
  const geneve = ctx.header(Geneve, at + Udp.size);
  if (!geneve || geneve.options >>> 6 !== 0 || geneve.protocol !== ETHERTYPE.BRIDGED) return false;
  const inner: u32 = at + HEADERS + (u32(geneve.options) & 0x3f) * 4;
  const ethernet = ctx.header(Ethernet, inner);
  if (!ethernet) return false;
  arrival.inner = inner;
  if (ethernet.type === ETHERTYPE_IPV6) {
    arrival.isIpv6 = 1;
    const ip = ctx.header(Ipv6, inner + Ethernet.size);
    if (!ip) return false;
    const { destination } = ip;
    return (
      endpointsByAddress.get({
        w0: destination.w0,
        w1: destination.w1,
        w2: destination.w2,
        w3: destination.w3,
      }) !== null
    );
  }
  if (ethernet.type !== ETHERTYPE_IPV4) return false;
  const ip = ctx.header(Ipv4, inner + Ethernet.size);
  return ip !== null && endpointsByAddress.get({ w0: 0, w1: 0, w2: 0xffff, w3: ip.destination }) !== null;
}

function readAsked(ctx: PacketContext, at: u32, isIpv6: boolean, asked: Translation): u32 {
  if (isIpv6) {
    const option = ctx.header(Asked6, at);
    if (!option) return DROP.TUNNEL_OPTIONS;
    const { address } = option;
    asked.address = { w0: address.w0, w1: address.w1, w2: address.w2, w3: address.w3 };
    asked.port = option.port;
    return 0;
  }
  const option = ctx.header(Asked4, at);
  if (!option) return DROP.TUNNEL_OPTIONS;
  asked.address = { w0: 0, w1: 0, w2: 0xffff, w3: option.w3 };
  asked.port = option.port;
  return 0;
}

/** Which service the packet was sent to, where an option says so (`arrival.isTold`). 0 or a drop code. */
export function readTunnel(ctx: PacketContext, packet: Packet, arrival: Arrival, asked: Translation): u32 {
  const isIpv6 = arrival.isIpv6 !== 0;
  let at: u32 = (u32(packet.transport) & OFFSETS) + HEADERS;
  for (let i = 0; i < MOST_OPTIONS; i++) {
    if (at >= arrival.inner) return at === arrival.inner ? 0 : DROP.INVALID_GENEVE;
    const option = ctx.header(GeneveOption, at);
    if (!option) return DROP.TUNNEL_OPTIONS;
    const words: u32 = u32(option.length) & 0x1f;
    if (option.class === CLASS && option.type === TYPE) {
      if (words !== (isIpv6 ? WORDS6 : WORDS4)) return DROP.INVALID_GENEVE;
      const unread = readAsked(ctx, at, isIpv6, asked);
      if (unread !== 0) return unread;
      arrival.isTold = 1;
    } else if ((option.type & CRITICAL_OPTION) !== 0) return DROP.INVALID_GENEVE;
    at = (at + 4 + words * 4) & OFFSETS;
  }
  return at === arrival.inner ? 0 : DROP.TUNNEL_OPTIONS;
}

/** The packet as it was before it went into the tunnel. 0 or a drop code. */
export function leaveTunnel(ctx: TcContext, packet: Packet, arrival: Arrival): u32 {
  const isIpv6 = arrival.isIpv6 !== 0;
  const flags = FIXED_GSO | (isIpv6 ? DECAP_IPV6 : DECAP_IPV4);
  if (skbAdjustRoom(ctx, -i32(arrival.inner & OFFSETS), MAC, flags) < 0n) return DROP.INVALID_PACKET;
  const ethernet = ctx.header(Ethernet, 0);
  if (!ethernet) return DROP.INVALID_PACKET;
  ethernet.type = isIpv6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4;
  packet.isIpv6 = arrival.isIpv6;
  return 0;
}
