// What the front has done with a flow's packets, so that the next ones are done with it by one lookup: no other map is asked while a tick lasts and
// neither services nor ways change. Then one packet goes the whole way again, which keeps the flow's entries elsewhere alive and counted.
import {
  lruHash,
  percpuArray,
  redirect,
  struct,
  u16,
  u32,
  u64,
  u8,
  XDP,
  xdpAdjustHead,
  type i32,
  type Of,
  type XdpContext,
} from "@skep/bpf";
import { foldChecksum } from "@skep/bpf/checksum";
import { PROTOCOL } from "@skep/bpf/net";
import type { NextHop } from "./device.bpf.ts";
import { count } from "./events.bpf.ts";
import { loadBalancerState, type Connection } from "./maps.bpf.ts";
import { ETHERTYPE_IPV4, ETHERTYPE_IPV6, TCP_FIN, TCP_RST, TCP_SYN, type Packet } from "./packet.bpf.ts";
import { isPassed, mixed, notePassed, tick } from "./passed.bpf.ts";
import { DIRECTION_INGRESS } from "./policy.bpf.ts";

// Fields as they are in memory, whatever the order of their bytes: they are compared and copied, and their checksums do not mind (RFC 1071).
const Words = struct("RawAddress", { w0: u32, w1: u32, w2: u32, w3: u32 });
const Macs = struct("RawMacs", { m0: u32, m1: u32, m2: u32 });
const Ip4 = struct("RawIpv4", {
  ...{ versionLength: u8, tos: u8, length: u16, identification: u16, fragment: u16 },
  ...{ ttl: u8, protocol: u8, checksum: u16, source: u32, destination: u32 },
});
const Ip6 = struct("RawIpv6", {
  ...{ versionClassFlow: u32, length: u16, nextHeader: u8, hopLimit: u8, source: Words, destination: Words },
});
const Tcp = struct("RawTcp", {
  ...{ ports: u32, sequence: u32, acknowledgment: u32, offset: u8, flags: u8, window: u16, checksum: u16, urgent: u16 },
});
const Udp = struct("RawUdp", { ports: u32, length: u16, checksum: u16 });

const IP = 14;
const TRANSPORT4 = 34;
const TRANSPORT6 = 54;

export const Flow4Key = struct("Flow4Key", { source: u32, destination: u32, ports: u32, protocol: u32 });
export const Flow6Key = struct("Flow6Key", { source: Words, destination: Words, ports: u32, protocol: u32 });

/** The packet gets other ends, or goes in an IP packet between these. */
const REWRITE = 1;
const ENCAPSULATE = 2;

/** `generation`, `ways`: what held when it was written. `ifindex` 0: back where it came from. */
export const Flow = struct("Flow", {
  generation: u32,
  ways: u32,
  tick: u32,
  ingress: u32,
  ifindex: u32,
  kind: u32,
  macs: Macs,
  source: Words,
  destination: Words,
  ports: u32,
  /** What is added to the complements of the IP header's and the transport's checksum. */
  ipChange: u16,
  change: u16,
  /** Whom the client has got, should the connection's own entry be gone; 0: this is an answer. */
  service: u32,
  backend: u32,
  backendGeneration: u32,
  /** Of what goes in another packet: so long is not too long. */
  limit: u32,
  pad: u32,
  packets: u64,
  bytes: u64,
});
export type Flow = Of<typeof Flow>;

export const flows4 = lruHash("skep_flow4", { key: Flow4Key, value: Flow, maxEntries: 131_072 });
export const flows6 = lruHash("skep_flow6", { key: Flow6Key, value: Flow, maxEntries: 65_536 });

/** The flow of the packet that goes the whole way on this CPU; `isKept`: it is worth an entry. */
const Pending = struct("PendingFlow", {
  key4: Flow4Key,
  key6: Flow6Key,
  isKept: u32,
  isIpv6: u32,
  /** Of its ends. */
  hash: u32,
  pad: u32,
  ipChecksum: u16,
  checksum: u16,
  service: u32,
  backend: u32,
  backendGeneration: u32,
  packets: u64,
  bytes: u64,
  flow: Flow,
});
export type Pending = Of<typeof Pending>;
export const pendingFlow = percpuArray("skep_flow_next", { value: Pending, maxEntries: 1 });

/** No verdict of XDP: the packet goes the whole way. */
export const WHOLE_WAY = -1;

/** How many ticks an entry lasts: an entry elsewhere that lives a minute is kept alive to the second, one that lives for hours is not. */
const LASTS_TCP = 4;
const LASTS = 1;

function change(before: u16, after: u16): u16 {
  return foldChecksum(u32(u16(~after)) + u32(before));
}

function mended(checksum: u16, by: u16): u16 {
  return ~foldChecksum(u32(u16(~checksum)) + u32(by));
}

const ENDS = TCP_SYN | TCP_FIN | TCP_RST;

interface Transport {
  flags: u8;
  protocol: u8;
}

/** The flow's entry where it still holds. What is to be known of the flow on the whole way is noted. */
function usable(ctx: XdpContext, flow: Flow | null, pending: Pending, transport: Transport): boolean {
  const { flags, protocol } = transport;
  const state = loadBalancerState.get(0);
  if (!state) return false;
  const now = tick();
  if (flow) {
    const holds =
      now - flow.tick < (protocol === PROTOCOL.TCP ? LASTS_TCP : LASTS) &&
      flow.generation === state.generation &&
      flow.ways === state.ways &&
      flow.ingress === ctx.ingressIfindex &&
      // What is longer than the flow's packets were has to be measured.
      (flow.kind !== ENCAPSULATE || ctx.length <= flow.limit);
    if (holds && (flags & ENDS) === 0) return true;
    pending.packets = flow.packets;
    pending.bytes = flow.bytes;
    flow.packets = 0n;
    flow.bytes = 0n;
    // What begins or ends is decided anew.
    flow.tick = now - LASTS_TCP;
    pending.service = flow.service;
    pending.backend = flow.backend;
    pending.backendGeneration = flow.backendGeneration;
  } else {
    pending.packets = 0n;
    pending.bytes = 0n;
    pending.service = 0;
  }
  pending.isKept = (flags & ENDS) === 0 ? 1 : 0;
  pending.flow.tick = now;
  pending.flow.generation = state.generation;
  pending.flow.ways = state.ways;
  pending.flow.ingress = ctx.ingressIfindex;
  return false;
}

function tally(ctx: XdpContext, flow: Flow): void {
  flow.packets += 1n;
  flow.bytes += u64(ctx.length);
  count(0, DIRECTION_INGRESS, ctx.length);
}

function sendOff(flow: Flow): i32 {
  return flow.ifindex === 0 ? XDP.TX : redirect(flow.ifindex, 0n);
}

function setMacs(ctx: XdpContext, flow: Flow): boolean {
  const macs = ctx.header(Macs, 0);
  if (!macs) return false;
  macs.m0 = flow.macs.m0;
  macs.m1 = flow.macs.m1;
  macs.m2 = flow.macs.m2;
  return true;
}

/** A checksum of UDP that comes out as 0 is sent as 0xffff (RFC 768). */
function mendUdp(checksum: u16, by: u16): u16 {
  const after = mended(checksum, by);
  return after === 0 ? 0xffff : after;
}

// ---- IPv4 ----

function rewrite4(ctx: XdpContext, flow: Flow, protocol: u8): i32 {
  const ip = ctx.header(Ip4, IP);
  if (!ip) return WHOLE_WAY;
  if (protocol === PROTOCOL.TCP) {
    const tcp = ctx.header(Tcp, TRANSPORT4);
    if (!tcp) return WHOLE_WAY;
    tcp.ports = flow.ports;
    tcp.checksum = mended(tcp.checksum, flow.change);
  } else {
    const udp = ctx.header(Udp, TRANSPORT4);
    if (!udp) return WHOLE_WAY;
    udp.ports = flow.ports;
    udp.checksum = mendUdp(udp.checksum, flow.change);
  }
  ip.ttl -= 1;
  ip.checksum = mended(ip.checksum, flow.ipChange);
  ip.source = flow.source.w3;
  ip.destination = flow.destination.w3;
  tally(ctx, flow);
  return setMacs(ctx, flow) ? sendOff(flow) : XDP.DROP;
}

const Type = struct("RawType", { bytes: u16 });
const swapped16 = (value: u16): u16 => (value << 8) | (value >> 8);

function encapsulate4(ctx: XdpContext, flow: Flow): i32 {
  const length: u16 = u16(ctx.length - IP + 20);
  tally(ctx, flow);
  if (xdpAdjustHead(ctx, -20) !== 0) return XDP.DROP;
  const ip = ctx.header(Ip4, IP);
  if (!ip || !setMacs(ctx, flow)) return XDP.DROP;
  const type = ctx.header(Type, 12);
  if (!type) return XDP.DROP;
  const raw = swapped16(length);
  type.bytes = 0x0008;
  ip.versionLength = 0x45;
  ip.tos = 0;
  ip.length = raw;
  ip.identification = 0;
  ip.fragment = 0;
  ip.ttl = 64;
  ip.protocol = PROTOCOL.IPIP;
  ip.checksum = ~foldChecksum(u32(flow.ipChange) + u32(raw));
  ip.source = flow.source.w3;
  ip.destination = flow.destination.w3;
  return sendOff(flow);
}

function again4(ctx: XdpContext, pending: Pending): i32 {
  const ip = ctx.header(Ip4, IP);
  // No options, no fragment (but that it must not become one), and a hop left.
  if (!ip || ip.versionLength !== 0x45 || (ip.fragment & 0xffbf) !== 0 || ip.ttl <= 1) return WHOLE_WAY;
  const protocol = ip.protocol;
  let flags: u8 = 0;
  let checksum: u16 = 0;
  let ports: u32 = 0;
  if (protocol === PROTOCOL.TCP) {
    const tcp = ctx.header(Tcp, TRANSPORT4);
    if (!tcp) return WHOLE_WAY;
    flags = tcp.flags;
    checksum = tcp.checksum;
    ports = tcp.ports;
  } else if (protocol === PROTOCOL.UDP) {
    const udp = ctx.header(Udp, TRANSPORT4);
    if (!udp || udp.checksum === 0) return WHOLE_WAY;
    checksum = udp.checksum;
    ports = udp.ports;
  } else return WHOLE_WAY;
  const key = { source: ip.source, destination: ip.destination, ports, protocol: u32(protocol) };
  pending.hash = mixed(key.source, key.destination, ports);
  if ((flags & ENDS) === 0 && isPassed(pending.hash)) return XDP.PASS;
  const flow = flows4.get(key);
  if (usable(ctx, flow, pending, { flags, protocol }) && flow)
    return flow.kind === ENCAPSULATE ? encapsulate4(ctx, flow) : rewrite4(ctx, flow, protocol);
  pending.isIpv6 = 0;
  pending.key4 = key;
  pending.ipChecksum = ip.checksum;
  pending.checksum = checksum;
  return WHOLE_WAY;
}

// ---- IPv6 ----

function rewrite6(ctx: XdpContext, flow: Flow, protocol: u8): i32 {
  const ip = ctx.header(Ip6, IP);
  if (!ip) return WHOLE_WAY;
  if (protocol === PROTOCOL.TCP) {
    const tcp = ctx.header(Tcp, TRANSPORT6);
    if (!tcp) return WHOLE_WAY;
    tcp.ports = flow.ports;
    tcp.checksum = mended(tcp.checksum, flow.change);
  } else {
    const udp = ctx.header(Udp, TRANSPORT6);
    if (!udp) return WHOLE_WAY;
    udp.ports = flow.ports;
    udp.checksum = mendUdp(udp.checksum, flow.change);
  }
  ip.hopLimit -= 1;
  ip.source = flow.source;
  ip.destination = flow.destination;
  tally(ctx, flow);
  return setMacs(ctx, flow) ? sendOff(flow) : XDP.DROP;
}

function encapsulate6(ctx: XdpContext, flow: Flow): i32 {
  const length: u16 = u16(ctx.length - IP);
  tally(ctx, flow);
  if (xdpAdjustHead(ctx, -40) !== 0) return XDP.DROP;
  const ip = ctx.header(Ip6, IP);
  if (!ip || !setMacs(ctx, flow)) return XDP.DROP;
  const type = ctx.header(Type, 12);
  if (!type) return XDP.DROP;
  type.bytes = 0xdd86;
  ip.versionClassFlow = 0x60;
  ip.length = swapped16(length);
  ip.nextHeader = PROTOCOL.IPV6;
  ip.hopLimit = 64;
  ip.source = flow.source;
  ip.destination = flow.destination;
  return sendOff(flow);
}

function again6(ctx: XdpContext, pending: Pending): i32 {
  const ip = ctx.header(Ip6, IP);
  if (!ip || (ip.versionClassFlow & 0xf0) !== 0x60 || ip.hopLimit <= 1) return WHOLE_WAY;
  const protocol = ip.nextHeader;
  let flags: u8 = 0;
  let checksum: u16 = 0;
  let ports: u32 = 0;
  if (protocol === PROTOCOL.TCP) {
    const tcp = ctx.header(Tcp, TRANSPORT6);
    if (!tcp) return WHOLE_WAY;
    flags = tcp.flags;
    checksum = tcp.checksum;
    ports = tcp.ports;
  } else if (protocol === PROTOCOL.UDP) {
    const udp = ctx.header(Udp, TRANSPORT6);
    if (!udp || udp.checksum === 0) return WHOLE_WAY;
    checksum = udp.checksum;
    ports = udp.ports;
  } else return WHOLE_WAY;
  pending.key6.source = ip.source;
  pending.key6.destination = ip.destination;
  pending.key6.ports = ports;
  pending.key6.protocol = u32(protocol);
  const { source, destination } = pending.key6;
  const [near, far]: readonly [u32, u32] = [
    source.w1 ^ source.w2 ^ source.w3,
    destination.w1 ^ destination.w2 ^ destination.w3,
  ];
  pending.hash = mixed(near, far, ports);
  if ((flags & ENDS) === 0 && isPassed(pending.hash)) return XDP.PASS;
  const flow = flows6.get(pending.key6);
  if (usable(ctx, flow, pending, { flags, protocol }) && flow)
    return flow.kind === ENCAPSULATE ? encapsulate6(ctx, flow) : rewrite6(ctx, flow, protocol);
  pending.isIpv6 = 1;
  pending.checksum = checksum;
  return WHOLE_WAY;
}

/** What was done with the flow's last packet, or WHOLE_WAY. */
export function again(ctx: XdpContext, type: u16): i32 {
  const pending = pendingFlow.get(0);
  if (!pending) return WHOLE_WAY;
  pending.isKept = 0;
  if (type === ETHERTYPE_IPV4) return again4(ctx, pending);
  return type === ETHERTYPE_IPV6 ? again6(ctx, pending) : WHOLE_WAY;
}

// ---- what is remembered ----

/** The packet goes up to the stack, and the flow's next ones as well. */
export function passOn(): i32 {
  const pending = pendingFlow.get(0);
  if (pending && pending.isKept !== 0) notePassed(pending.hash);
  return XDP.PASS;
}

/** Adds to the connection what its flow's entry has counted. */
export function collect(connection: Connection, isReply: boolean): void {
  const pending = pendingFlow.get(0);
  if (!pending || pending.isKept === 0 || pending.packets === 0n) return;
  if (isReply) {
    connection.replyPackets += pending.packets;
    connection.replyBytes += pending.bytes;
  } else {
    connection.packets += pending.packets;
    connection.bytes += pending.bytes;
  }
  pending.packets = 0n;
}

/** The connection to a service that the flow's entry knows of; null where there is none, or this packet begins or ends it. */
export function knownFlow(): Pending | null {
  const pending = pendingFlow.get(0);
  return pending && pending.isKept !== 0 && pending.service !== 0 ? pending : null;
}

/** `generation`: of the backend. */
export function noteBackend(packet: Packet, generation: u32): void {
  const pending = pendingFlow.get(0);
  if (!pending) return;
  pending.flow.service = packet.service;
  pending.flow.backend = packet.backend;
  pending.flow.backendGeneration = generation;
}

function store(ctx: XdpContext, pending: Pending, next: NextHop): void {
  const macs = ctx.header(Macs, 0);
  if (!macs) return;
  const { flow } = pending;
  flow.macs.m0 = macs.m0;
  flow.macs.m1 = macs.m1;
  flow.macs.m2 = macs.m2;
  flow.ifindex = next.ifindex === ctx.ingressIfindex ? 0 : next.ifindex;
  flow.packets = 0n;
  flow.bytes = 0n;
  // Full of flows that are in use: the whole way is always there.
  if (pending.isIpv6 !== 0) flows6.set(pending.key6, flow);
  else flows4.set(pending.key4, flow);
}

/** The packet is as it leaves: with other ends. */
export function rememberRewrite(ctx: XdpContext, next: NextHop, protocol: u8): void {
  const pending = pendingFlow.get(0);
  if (!pending || pending.isKept === 0) return;
  const { flow } = pending;
  flow.kind = REWRITE;
  const transport = pending.isIpv6 !== 0 ? TRANSPORT6 : TRANSPORT4;
  if (pending.isIpv6 !== 0) {
    const ip = ctx.header(Ip6, IP);
    if (!ip) return;
    flow.source = ip.source;
    flow.destination = ip.destination;
  } else {
    const ip = ctx.header(Ip4, IP);
    if (!ip) return;
    flow.source.w3 = ip.source;
    flow.destination.w3 = ip.destination;
    flow.ipChange = change(pending.ipChecksum, ip.checksum);
  }
  if (protocol === PROTOCOL.TCP) {
    const tcp = ctx.header(Tcp, transport);
    if (!tcp) return;
    flow.ports = tcp.ports;
    flow.change = change(pending.checksum, tcp.checksum);
  } else {
    const udp = ctx.header(Udp, transport);
    if (!udp) return;
    flow.ports = udp.ports;
    flow.change = change(pending.checksum, udp.checksum);
  }
  store(ctx, pending, next);
}

/** The packet is as it leaves: in a packet to the backend. `length`: what it was, which has been found not to be too long. */
export function rememberTunnel(ctx: XdpContext, next: NextHop, length: u32): void {
  const pending = pendingFlow.get(0);
  if (!pending || pending.isKept === 0) return;
  const { flow } = pending;
  flow.kind = ENCAPSULATE;
  flow.limit = length;
  if (pending.isIpv6 !== 0) {
    const ip = ctx.header(Ip6, IP);
    if (!ip) return;
    flow.source = ip.source;
    flow.destination = ip.destination;
  } else {
    const ip = ctx.header(Ip4, IP);
    if (!ip) return;
    flow.source.w3 = ip.source;
    flow.destination.w3 = ip.destination;
    // All but the length.
    flow.ipChange = foldChecksum(u32(u16(~ip.checksum)) + u32(u16(~ip.length)));
  }
  store(ctx, pending, next);
}
