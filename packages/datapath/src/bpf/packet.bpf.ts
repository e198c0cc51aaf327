// A packet's headers, read once into values on the stack.
import { struct, u16, u32, u8, type Of, type TcContext } from "@skep/bpf";
import { Ethernet, Icmp, Ipv4, Tcp, Udp } from "@skep/bpf/net";
import { Address } from "./maps.bpf.ts";

export const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_ARP = 0x0806;

export const PROTOCOL_ICMP = 1;
export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;

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
  CT_UNKNOWN_PROTOCOL: 137,
  UNSUPPORTED_L3: 139,
  CT_INSERT_FAILED: 155,
  FRAGMENT: 157,
  PROXY_UNKNOWN_PROTOCOL: 180,
  POLICY_DENY: 181,
  TTL_EXCEEDED: 196,
  ENDPOINT_NOT_READY: 203,
} as const;

/** Connection tracking and policy look at this; addresses are IPv4 mapped. */
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
  /** Set while the packet is judged: 1 reply, 2 a new connection, 4 the first reply. */
  state: u8,
  sourceIdentity: u32,
  destinationIdentity: u32,
  sourceEndpoint: u32,
  destinationEndpoint: u32,
  cookie: u32,
  egressCookie: u32,
  innerSource: u32,
  innerDestination: u32,
  innerSourcePort: u16,
  innerDestinationPort: u16,
  innerProtocol: u8,
});
export type Packet = Of<typeof Packet>;

export const STATE_REPLY = 1;
export const STATE_NEW = 2;
export const STATE_FIRST_REPLY = 4;

/** ICMP messages that speak about another packet (RFC 792): its header follows. */
function isIcmpError(type: u8): boolean {
  return type === 3 || type === 11 || type === 12;
}

function parseInner(ctx: TcContext, packet: Packet, offset: u32): u32 {
  const ip = ctx.header(Ipv4, offset);
  if (!ip) return DROP.CT_INVALID_HEADER;
  packet.related = 1;
  packet.innerSource = ip.source;
  packet.innerDestination = ip.destination;
  packet.innerProtocol = ip.protocol;
  const inner = offset + ip.ihl * 4;
  if (ip.protocol === PROTOCOL_ICMP) {
    const icmp = ctx.header(Icmp, inner);
    if (!icmp) return DROP.CT_INVALID_HEADER;
    packet.innerSourcePort = icmp.identifier;
    return 0;
  }
  // TCP and UDP both begin with the two ports, and an error carries eight bytes of them at least.
  const ports = ctx.header(Udp, inner);
  if (!ports) return DROP.CT_INVALID_HEADER;
  packet.innerSourcePort = ports.source;
  packet.innerDestinationPort = ports.destination;
  return 0;
}

function parseTransport(ctx: TcContext, packet: Packet, offset: u32): u32 {
  if (packet.protocol === PROTOCOL_TCP) {
    const tcp = ctx.header(Tcp, offset);
    if (!tcp) return DROP.CT_INVALID_HEADER;
    packet.sourcePort = tcp.source;
    packet.destinationPort = tcp.destination;
    packet.policyPort = tcp.destination;
    packet.tcpFlags = tcp.flags;
    return 0;
  }
  if (packet.protocol === PROTOCOL_UDP) {
    const udp = ctx.header(Udp, offset);
    if (!udp) return DROP.CT_INVALID_HEADER;
    packet.sourcePort = udp.source;
    packet.destinationPort = udp.destination;
    packet.policyPort = udp.destination;
    return 0;
  }
  if (packet.protocol === PROTOCOL_ICMP) {
    const icmp = ctx.header(Icmp, offset);
    if (!icmp) return DROP.CT_INVALID_HEADER;
    packet.icmpType = icmp.type;
    packet.icmpCode = icmp.code;
    packet.policyPort = icmp.type;
    // An echo's identifier stands on the side of the one who asks.
    if (icmp.type === 8) packet.sourcePort = icmp.identifier;
    if (icmp.type === 0) packet.destinationPort = icmp.identifier;
    if (isIcmpError(icmp.type)) return parseInner(ctx, packet, offset + 8);
    return 0;
  }
  return DROP.CT_UNKNOWN_PROTOCOL;
}

/** Fills `packet` from an IPv4 packet; 0 or a drop code. */
export function parseIpv4(ctx: TcContext, packet: Packet): u32 {
  const ip = ctx.header(Ipv4, Ethernet.size);
  if (!ip || ip.version !== 4 || ip.ihl < 5) return DROP.INVALID_PACKET;
  packet.source = { w0: 0, w1: 0, w2: 0xffff, w3: ip.source };
  packet.destination = { w0: 0, w1: 0, w2: 0xffff, w3: ip.destination };
  packet.protocol = ip.protocol;
  // More fragments, or an offset: ports cannot be told.
  if ((ip.fragment & 0x3fff) !== 0) return DROP.FRAGMENT;
  return parseTransport(ctx, packet, Ethernet.size + ip.ihl * 4);
}
