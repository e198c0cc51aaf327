// A packet's headers, read once into values on the stack.
import { config, lruHash, percpuArray, struct, u16, u32, u8, type Of, type PacketContext } from "@skep/bpf";
import { Ethernet, Icmp, Ipv4, Ipv6, Ipv6Address, Ipv6Fragment, Ipv6Option, PROTOCOL, Tcp, Udp } from "@skep/bpf/net";
import { Address } from "./maps.bpf.ts";

export const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_IPV6 = 0x86dd;
export const ETHERTYPE_ARP = 0x0806;

export const TCP_FIN = 0x01;
export const TCP_SYN = 0x02;
export const TCP_RST = 0x04;
export const TCP_ACK = 0x10;

/** Cilium's drop codes (pkg/monitor/api/drop.go). */
export const DROP = {
  INVALID_SOURCE_IP: 132,
  POLICY_DENIED: 133,
  INVALID_PACKET: 134,
  CT_INVALID_HEADER: 135,
  FRAGMENTATION_NEEDED: 136,
  CT_UNKNOWN_PROTOCOL: 137,
  UNSUPPORTED_L3: 139,
  MISSED_TAIL_CALL: 140,
  TUNNEL_KEY: 147,
  TUNNEL_OPTIONS: 148,
  INVALID_GENEVE: 149,
  CHECKSUM_L4: 154,
  CT_INSERT_FAILED: 155,
  INVALID_EXTENSION_HEADER: 156,
  FRAGMENTS_UNSUPPORTED: 157,
  SERVICE_BACKEND_NOT_FOUND: 158,
  NO_TUNNEL_ENDPOINT: 160,
  NAT_46X64_DISABLED: 161,
  EDT_HORIZON: 162,
  NO_NAT_MAPPING: 167,
  UNSUPPORTED_NAT_PROTOCOL: 168,
  IS_CLUSTER_IP: 174,
  INVALID_IDENTITY: 171,
  FRAGMENT_NOT_FOUND: 175,
  FORBIDDEN_ICMPV6: 176,
  LB_SOURCE_RANGE: 177,
  PROXY_UNKNOWN_PROTOCOL: 180,
  POLICY_DENY: 181,
  NAT46: 187,
  NAT64: 188,
  NO_EGRESS_GATEWAY: 194,
  TTL_EXCEEDED: 196,
  RATE_LIMITED: 198,
  ENDPOINT_NOT_READY: 203,
  NO_EGRESS_IP: 204,
} as const;

/** Connection tracking and policy look at this; IPv4 addresses are mapped. */
export const Packet = struct("Packet", {
  source: Address,
  destination: Address,
  sourcePort: u16,
  destinationPort: u16,
  /** What policy calls the port: the destination port, or the ICMP type. */
  policyPort: u16,
  protocol: u8,
  tcpFlags: u8,
  icmpType: u8,
  icmpCode: u8,
  /** 1: an ICMP error; `inner` is the packet that it is about, seen by its sender. */
  related: u8,
  /** Set while the packet is judged: the STATE bits. */
  state: u8,
  sourceIdentity: u32,
  destinationIdentity: u32,
  sourceEndpoint: u32,
  destinationEndpoint: u32,
  /** Of the policy that was asked last. */
  cookie: u32,
  egressCookie: u32,
  /** The packet that opened the connection, as policy knows it. */
  askedPort: u16,
  askedProtocol: u8,
  /** 0 IPv4, 1 IPv6. */
  isIpv6: u8,
  innerSource: Address,
  innerDestination: Address,
  innerSourcePort: u16,
  innerDestinationPort: u16,
  innerProtocol: u8,
  /** FRAGMENT_FIRST, or FRAGMENT_LATER: no transport header is in it. */
  fragment: u8,
  /** Where the transport header and, of an error, the inner IP and transport headers stand in the packet. */
  transport: u16,
  innerIp: u16,
  innerTransport: u16,
  /** 1: a workload's packet to itself, through a service. */
  loopback: u8,
  /** 1: the service's backends answer its clients themselves. */
  direct: u8,
  /** Numbers of the frontend that it was sent to and of the backend that it goes to; 0 where it was sent to no service. */
  service: u32,
  backend: u32,
});
export type Packet = Of<typeof Packet>;

export const scratch = percpuArray("skep_packet", { value: Packet, maxEntries: 1 });

/**
 * This CPU's packet, emptied: a program's stack holds little beside it, and the verifier, which knows nothing of a map's value, does not follow
 * every combination of what headers may say. One program runs at a time on a CPU at these hooks.
 */
export function freshPacket(): Packet | null {
  const packet = scratch.get(0);
  if (!packet) return null;
  const none: Address = { w0: 0, w1: 0, w2: 0, w3: 0 };
  packet.source = none;
  packet.destination = none;
  packet.sourcePort = 0;
  packet.destinationPort = 0;
  packet.policyPort = 0;
  packet.protocol = 0;
  packet.tcpFlags = 0;
  packet.icmpType = 0;
  packet.icmpCode = 0;
  packet.related = 0;
  packet.state = 0;
  packet.sourceIdentity = 0;
  packet.destinationIdentity = 0;
  packet.sourceEndpoint = 0;
  packet.destinationEndpoint = 0;
  packet.cookie = 0;
  packet.egressCookie = 0;
  packet.askedPort = 0;
  packet.askedProtocol = 0;
  packet.isIpv6 = 0;
  packet.innerSource = none;
  packet.innerDestination = none;
  packet.innerSourcePort = 0;
  packet.innerDestinationPort = 0;
  packet.innerProtocol = 0;
  packet.fragment = 0;
  packet.transport = 0;
  packet.innerIp = 0;
  packet.innerTransport = 0;
  packet.loopback = 0;
  packet.direct = 0;
  packet.service = 0;
  packet.backend = 0;
  return packet;
}

export const FRAGMENT_FIRST = 1;
export const FRAGMENT_LATER = 2;

export const STATE_REPLY = 1;
export const STATE_NEW = 2;
export const STATE_FIRST_REPLY = 4;
/** It is time to tell of the connection again, or the packet has flags that nobody was told of. */
export const STATE_TOLD = 8;

/** Ports of the first fragment, for those that follow it (RFC 791, RFC 8200). */
export const FragmentKey = struct("FragmentKey", {
  source: Address,
  destination: Address,
  identification: u32,
  protocol: u8,
  pad0: u8,
  pad1: u16,
});
export const Fragments = struct("Fragments", { sourcePort: u16, destinationPort: u16, policyPort: u16, pad: u16 });
export const fragments = lruHash("skep_fragments", { key: FragmentKey, value: Fragments, maxEntries: 8192 });

/** Packets of IPv6 are taken. Off where the machine has no IPv6. */
export const ipv6Enabled = config("ipv6_enabled", u8, 1);

const ICMP_ECHO = 8;
const ICMP_ECHO_REPLY = 0;
const ICMPV6_ECHO = 128;
const ICMPV6_ECHO_REPLY = 129;

const MAX_EXTENSIONS = 6;
/** What is written behind the IP header is looked for below it (rewrite.bpf.ts). */
const LAST_TRANSPORT = 0x1f00;

/** ICMP messages that speak about another packet (RFC 792): its header follows. */
function isIcmpError(type: u8): boolean {
  return type === 3 || type === 11 || type === 12;
}

/** What ICMP, ICMPv6 and the three transports have in common at the head of an inner packet. */
function parseInnerTransport(ctx: PacketContext, packet: Packet, offset: u32): u32 {
  packet.related = 1;
  packet.innerTransport = u16(offset);
  if (packet.innerProtocol === PROTOCOL.ICMP || packet.innerProtocol === PROTOCOL.ICMPV6) {
    const icmp = ctx.header(Icmp, offset);
    if (!icmp) return DROP.CT_INVALID_HEADER;
    // An echo's identifier stands on the side of the one who asks.
    if (icmp.type === ICMP_ECHO || icmp.type === ICMPV6_ECHO) packet.innerSourcePort = icmp.identifier;
    else packet.innerDestinationPort = icmp.identifier;
    return 0;
  }
  // The others begin with the two ports, and an error carries eight bytes of them at least.
  const ports = ctx.header(Udp, offset);
  if (!ports) return DROP.CT_INVALID_HEADER;
  packet.innerSourcePort = ports.source;
  packet.innerDestinationPort = ports.destination;
  return 0;
}

function parseInner4(ctx: PacketContext, packet: Packet, offset: u32): u32 {
  const ip = ctx.header(Ipv4, offset);
  if (!ip) return DROP.CT_INVALID_HEADER;
  packet.innerSource = { w0: 0, w1: 0, w2: 0xffff, w3: ip.source };
  packet.innerDestination = { w0: 0, w1: 0, w2: 0xffff, w3: ip.destination };
  packet.innerProtocol = ip.protocol;
  packet.innerIp = u16(offset);
  // What is not the first fragment says nothing of its ports.
  if ((ip.fragment & 0x1fff) !== 0) return DROP.FRAGMENT_NOT_FOUND;
  return parseInnerTransport(ctx, packet, offset + ip.ihl * 4);
}

function parseInner6(ctx: PacketContext, packet: Packet, offset: u32): u32 {
  const ip = ctx.header(Ipv6, offset);
  if (!ip) return DROP.CT_INVALID_HEADER;
  packet.innerSource = wordsOf(ip.source);
  packet.innerDestination = wordsOf(ip.destination);
  packet.innerProtocol = ip.nextHeader;
  packet.innerIp = u16(offset);
  if (packet.innerProtocol !== PROTOCOL.FRAGMENT) return parseInnerTransport(ctx, packet, offset + Ipv6.size);
  const fragment = ctx.header(Ipv6Fragment, offset + Ipv6.size);
  if (!fragment) return DROP.CT_INVALID_HEADER;
  // What is not the first says nothing of its ports.
  if ((fragment.offset & 0xfff8) !== 0) return DROP.FRAGMENT_NOT_FOUND;
  packet.innerProtocol = fragment.nextHeader;
  return parseInnerTransport(ctx, packet, offset + Ipv6.size + Ipv6Fragment.size);
}

function wordsOf(address: Of<typeof Ipv6Address>): Address {
  return { w0: address.w0, w1: address.w1, w2: address.w2, w3: address.w3 };
}

function parseIcmp(ctx: PacketContext, packet: Packet, offset: u32): u32 {
  const icmp = ctx.header(Icmp, offset);
  if (!icmp) return DROP.CT_INVALID_HEADER;
  const type = icmp.type;
  packet.icmpType = type;
  packet.icmpCode = icmp.code;
  packet.policyPort = type;
  if (packet.protocol === PROTOCOL.ICMP) {
    if (type === ICMP_ECHO) packet.sourcePort = icmp.identifier;
    if (type === ICMP_ECHO_REPLY) packet.destinationPort = icmp.identifier;
    return isIcmpError(type) ? parseInner4(ctx, packet, offset + 8) : 0;
  }
  if (type === ICMPV6_ECHO) packet.sourcePort = icmp.identifier;
  if (type === ICMPV6_ECHO_REPLY) packet.destinationPort = icmp.identifier;
  // RFC 4443: errors are the types below 128.
  return type < 128 ? parseInner6(ctx, packet, offset + 8) : 0;
}

function parseTransport(ctx: PacketContext, packet: Packet, offset: u32): u32 {
  const protocol = packet.protocol;
  packet.transport = u16(offset);
  if (protocol === PROTOCOL.TCP) {
    const tcp = ctx.header(Tcp, offset);
    if (!tcp) return DROP.CT_INVALID_HEADER;
    packet.sourcePort = tcp.source;
    packet.destinationPort = tcp.destination;
    packet.policyPort = tcp.destination;
    packet.tcpFlags = tcp.flags;
    return 0;
  }
  if (protocol === PROTOCOL.UDP || protocol === PROTOCOL.SCTP) {
    // SCTP's header is longer, and begins with the ports as well.
    const ports = ctx.header(Udp, offset);
    if (!ports) return DROP.CT_INVALID_HEADER;
    packet.sourcePort = ports.source;
    packet.destinationPort = ports.destination;
    packet.policyPort = ports.destination;
    return 0;
  }
  if (protocol === PROTOCOL.ICMP || protocol === PROTOCOL.ICMPV6) return parseIcmp(ctx, packet, offset);
  return DROP.CT_UNKNOWN_PROTOCOL;
}

function fragmentKey(packet: Packet, identification: u32): Of<typeof FragmentKey> {
  const key = FragmentKey.zero();
  key.source = packet.source;
  key.destination = packet.destination;
  key.identification = identification;
  key.protocol = packet.protocol;
  return key;
}

/** The first fragment says what the others belong to. One that comes before it is dropped, as Cilium does. */
function parseFragment(ctx: PacketContext, packet: Packet, offset: u32, identification: u32, isFirst: boolean): u32 {
  const key = fragmentKey(packet, identification);
  if (isFirst) {
    packet.fragment = FRAGMENT_FIRST;
    const refused = parseTransport(ctx, packet, offset);
    if (refused !== 0) return refused;
    const ports = Fragments.zero();
    ports.sourcePort = packet.sourcePort;
    ports.destinationPort = packet.destinationPort;
    ports.policyPort = packet.policyPort;
    return fragments.set(key, ports) < 0n ? DROP.FRAGMENT_NOT_FOUND : 0;
  }
  packet.fragment = FRAGMENT_LATER;
  packet.transport = u16(offset);
  const known = fragments.get(key);
  if (!known) return DROP.FRAGMENT_NOT_FOUND;
  packet.sourcePort = known.sourcePort;
  packet.destinationPort = known.destinationPort;
  packet.policyPort = known.policyPort;
  // The type of an ICMP message is in its first fragment.
  if (packet.protocol === PROTOCOL.ICMP || packet.protocol === PROTOCOL.ICMPV6) packet.icmpType = u8(known.policyPort);
  return 0;
}

/** Fills `packet` from an IPv4 packet; 0 or a drop code. */
export function parseIpv4(ctx: PacketContext, packet: Packet): u32 {
  const ip = ctx.header(Ipv4, Ethernet.size);
  if (!ip || ip.version !== 4 || ip.ihl < 5) return DROP.INVALID_PACKET;
  packet.source = { w0: 0, w1: 0, w2: 0xffff, w3: ip.source };
  packet.destination = { w0: 0, w1: 0, w2: 0xffff, w3: ip.destination };
  packet.protocol = ip.protocol;
  const offset: u32 = Ethernet.size + ip.ihl * 4;
  const fragment = ip.fragment;
  // More fragments, or an offset.
  if ((fragment & 0x3fff) !== 0)
    return parseFragment(ctx, packet, offset, u32(ip.identification), (fragment & 0x1fff) === 0);
  return parseTransport(ctx, packet, offset);
}

function isExtension(header: u8): boolean {
  return (
    header === PROTOCOL.HOP_BY_HOP ||
    header === PROTOCOL.ROUTING ||
    header === PROTOCOL.DESTINATION_OPTIONS ||
    header === PROTOCOL.AUTHENTICATION ||
    header === PROTOCOL.FRAGMENT
  );
}

/** Fills `packet` from an IPv6 packet, extension headers passed over; 0 or a drop code. */
export function parseIpv6(ctx: PacketContext, packet: Packet): u32 {
  const ip = ctx.header(Ipv6, Ethernet.size);
  if (!ip || ip.versionClassFlow >>> 28 !== 6) return DROP.INVALID_PACKET;
  packet.isIpv6 = 1;
  packet.source = wordsOf(ip.source);
  packet.destination = wordsOf(ip.destination);
  let next: u8 = ip.nextHeader;
  let offset: u32 = Ethernet.size + Ipv6.size;
  for (let i = 0; i < MAX_EXTENSIONS; i++) {
    if (!isExtension(next)) {
      // RFC 8200: nothing follows.
      if (next === PROTOCOL.NO_NEXT) return DROP.INVALID_EXTENSION_HEADER;
      packet.protocol = next;
      return parseTransport(ctx, packet, offset);
    }
    if (next === PROTOCOL.FRAGMENT) {
      const fragment = ctx.header(Ipv6Fragment, offset);
      if (!fragment) return DROP.INVALID_EXTENSION_HEADER;
      packet.protocol = fragment.nextHeader;
      if (isExtension(packet.protocol)) return DROP.INVALID_EXTENSION_HEADER;
      return parseFragment(ctx, packet, offset + 8, fragment.identification, (fragment.offset & 0xfff8) === 0);
    }
    const option = ctx.header(Ipv6Option, offset);
    if (!option) return DROP.INVALID_EXTENSION_HEADER;
    // The length of an authentication header is in words of 4 bytes, less 2 (RFC 4302).
    const size: u32 = next === PROTOCOL.AUTHENTICATION ? (u32(option.length) + 2) * 4 : (u32(option.length) + 1) * 8;
    next = option.nextHeader;
    offset += size;
    if (offset > LAST_TRANSPORT) return DROP.INVALID_EXTENSION_HEADER;
  }
  return DROP.INVALID_EXTENSION_HEADER;
}

/** Fills `packet` from what follows the Ethernet header; 0 or a drop code. */
export function parse(ctx: PacketContext, packet: Packet, etherType: u16): u32 {
  if (etherType === ETHERTYPE_IPV4) return parseIpv4(ctx, packet);
  if (etherType === ETHERTYPE_IPV6 && ipv6Enabled.value !== 0) return parseIpv6(ctx, packet);
  return DROP.UNSUPPORTED_L3;
}

export function isZero(address: Address): boolean {
  return (address.w0 | address.w1 | address.w2 | address.w3) === 0;
}

export function sameAddress(a: Address, b: Address): boolean {
  return a.w3 === b.w3 && a.w2 === b.w2 && a.w1 === b.w1 && a.w0 === b.w0;
}
