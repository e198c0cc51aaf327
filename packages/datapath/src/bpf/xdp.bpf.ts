// The front: before the kernel has a packet, what is denied is dropped and what is for a service goes on. Everything else, and all that is seldom
// (local backends, fragments, ICMP errors, refusals), goes up to the programs at tc, which do the same.
import {
  config,
  lpmTrie,
  csumDiff,
  percpuArray,
  progArray,
  redirect,
  struct,
  u16,
  u32,
  u64,
  u8,
  xdp,
  XDP,
  be32,
  type i32,
  type XdpContext,
} from "@skep/bpf";
import { foldChecksum } from "@skep/bpf/checksum";
import { Ethernet, Ipv4, Ipv6 } from "@skep/bpf/net";
import { servicesGeneration, TRANSLATED } from "./balance.bpf.ts";
import { find, open, touch } from "./connection.bpf.ts";
import {
  again,
  collect,
  knownFlow,
  noteBackend,
  passOn,
  rememberRewrite,
  rememberTunnel,
  WHOLE_WAY,
} from "./flows.bpf.ts";
import { countDenied, isDenied, prefilter, PREFILTER_XDP } from "./denied.bpf.ts";
import {
  addOptionXdp,
  bearsOption,
  dispatch,
  DISPATCH_GENEVE,
  DISPATCH_IPIP,
  encapsulateXdp,
  overhead,
  tooLong,
} from "./direct.bpf.ts";
import { isOtherFamily } from "./families.bpf.ts";
import { clock } from "./lifetimes.bpf.ts";
import { count } from "./events.bpf.ts";
import { Address, endpointsByAddress, type Backend } from "./maps.bpf.ts";
import { tunnelOverhead, tunnelXdp } from "./geneve.bpf.ts";
import { mapBack, mapOut, Translation } from "./nat.bpf.ts";
import { askedFrontend, hop, nextHop, nodeAddress, outerAddress, serveFlow } from "./nodeport.bpf.ts";
import type { NextHop } from "./device.bpf.ts";
import { tunnelOf } from "./overlay.bpf.ts";
import {
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  freshPacket,
  parse,
  sameAddress,
  scratch,
  TCP_RST,
  type Packet,
} from "./packet.bpf.ts";
import { DIRECTION_INGRESS } from "./policy.bpf.ts";
import { rewriteDestinationXdp, rewriteSourceXdp } from "./rewrite.bpf.ts";
import { backendOf } from "./services.bpf.ts";

// ---- services ----

/** Programs that the front goes on in. */
export const xdpCalls = progArray("skep_xdp_calls", { maxEntries: 8 });
export const XDP_FORWARD = 0;
export const XDP_REPLY = 1;
export const XDP_DIRECT = 2;
export const XDP_TUNNEL = 3;
export const XDP_NAT_46X64 = 6;
export const XDP_NAT_46X64_REPLY = 7;

function drop(ctx: XdpContext, reason: u32): i32 {
  count(u8(reason), DIRECTION_INGRESS, ctx.length);
  return XDP.DROP;
}

/**
 * The kernel leaves the checksum of its own resets over IPv6 to the device (tcp_v6_send_response), and a virtual wire hands them over as they are: with
 * the sum of the pseudo header, which is no checksum yet. At tc that is known.
 */
function isUnsummed(ctx: XdpContext, packet: Packet): boolean {
  const checksum = ctx.header(RawWord, (u32(packet.transport) & 0x1fff) + 16);
  const ip = ctx.header(Ipv6, Ethernet.size);
  if (!checksum || !ip) return false;
  const length: u32 = u32(ip.length) + Ethernet.size + Ipv6.size - u32(packet.transport);
  const source = u32(csumDiff(null, packet.source, 0));
  const sum = foldChecksum(u32(csumDiff(null, packet.destination, source)));
  return foldChecksum(u32(sum) + swap(length) + swap(packet.protocol)) === checksum.value;
}

/** A word of the wire as it is in memory. */
const RawWord = struct("RawChecksum", { value: u16 });
function swap(value: u32): u32 {
  return ((value & 0xff) << 8) | ((value >>> 8) & 0xff);
}

/** At the head of an interface: ingress, before anything else. */
export const front = xdp("skep_xdp", (ctx) => {
  const ethernet = ctx.header(Ethernet, 0);
  if (!ethernet) return XDP.PASS;
  const type = ethernet.type;
  if ((prefilter.value & PREFILTER_XDP) !== 0 && isDenied(ctx, type)) {
    countDenied(ctx);
    return XDP.DROP;
  }
  const known = again(ctx, type);
  if (known !== WHOLE_WAY) return known;
  const packet = freshPacket();
  if (!packet || parse(ctx, packet, type) !== 0) return XDP.PASS;
  if (packet.fragment !== 0 || packet.related !== 0) return XDP.PASS;
  if (packet.isIpv6 !== 0 && (packet.tcpFlags & TCP_RST) !== 0 && isUnsummed(ctx, packet)) return XDP.PASS;
  const now = clock();
  const served = serveFlow(packet, now, knownFlow());
  if (served === TRANSLATED) {
    if (packet.direct === 0) xdpCalls.tailCall(ctx, XDP_FORWARD);
    else if (dispatch.value === DISPATCH_GENEVE) xdpCalls.tailCall(ctx, XDP_TUNNEL);
    else xdpCalls.tailCall(ctx, XDP_DIRECT);
    return XDP.PASS;
  }
  if (served !== 0) return passOn();
  const to = Translation.zero();
  if (mapBack(packet, to, now) !== 0 || endpointsByAddress.get(to.address)) return passOn();
  // Not an error: what an error is about has no use here, and its place holds where the answer goes.
  packet.innerDestination = to.address;
  packet.innerDestinationPort = to.port;
  xdpCalls.tailCall(ctx, XDP_REPLY);
  return XDP.PASS;
});

/** Out again, by the interface that it came from or another. */
function sendOn(ctx: XdpContext, next: NextHop): i32 {
  count(0, DIRECTION_INGRESS, ctx.length);
  const ethernet = ctx.header(Ethernet, 0);
  if (!ethernet) return XDP.DROP;
  ethernet.source = next.source.bytes;
  ethernet.destination = next.destination.bytes;
  return next.ifindex === ctx.ingressIfindex ? XDP.TX : redirect(next.ifindex, 0n);
}

/** The way to the backend, where it is not here and the way is known; else tc does it. */
function wayTo(packet: Packet, backend: Backend): NextHop | null {
  if (endpointsByAddress.get(backend.address)) return null;
  const next = nextHop(backend.address);
  return next && next.hasMacs !== 0 ? next : null;
}

/** To the backend that was chosen, with the node's own address. */
export const forward = xdp("skep_xdp_lb", (ctx) => {
  const packet = scratch.get(0);
  if (!packet) return XDP.PASS;
  const backend = backendOf(packet.backend);
  if (backend && isOtherFamily(packet, backend.address)) {
    xdpCalls.tailCall(ctx, XDP_NAT_46X64);
    return XDP.PASS;
  }
  const next = backend ? wayTo(packet, backend) : null;
  if (!backend || !next) return passOn();
  const to = Translation.zero();
  if (!nodeAddress(packet, ctx.ingressIfindex, to)) return XDP.PASS;
  noteBackend(packet, backend.generation);
  const now = clock();
  const length = ctx.length;
  const target = Translation.zero();
  target.address = backend.address;
  target.port = backend.port;
  const refused = rewriteDestinationXdp(ctx, packet, target);
  if (refused !== 0) return drop(ctx, refused);
  packet.state = 0;
  const connection = find(packet, now);
  if (connection) {
    touch(packet, connection, now, length);
    collect(connection, false);
  } else {
    const full = open(packet, { egress: 0, ingress: 0 }, servicesGeneration(), now, length);
    if (full !== 0) return drop(ctx, full);
  }
  const full = mapOut(packet, to, now);
  if (full !== 0) return drop(ctx, full);
  const failed = rewriteSourceXdp(ctx, packet, to);
  if (failed !== 0) return drop(ctx, failed);
  const expired = hop(ctx, packet);
  if (expired !== 0) return drop(ctx, expired);
  const verdict = sendOn(ctx, next);
  rememberRewrite(ctx, next, packet.protocol);
  return verdict;
});

/** An answer to what the node has sent on: back to the client, from the service. */
export const reply = xdp("skep_xdp_reply", (ctx) => {
  const packet = scratch.get(0);
  if (!packet) return XDP.PASS;
  if (isOtherFamily(packet, packet.innerDestination)) {
    xdpCalls.tailCall(ctx, XDP_NAT_46X64_REPLY);
    return XDP.PASS;
  }
  const next = nextHop(packet.innerDestination);
  if (!next || next.hasMacs === 0) return passOn();
  noteBackend(packet, 0);
  const to = Translation.zero();
  const node = Translation.zero();
  node.address = packet.destination;
  node.port = packet.destinationPort;
  to.address = packet.innerDestination;
  to.port = packet.innerDestinationPort;
  const now = clock();
  packet.destination = to.address;
  packet.destinationPort = to.port;
  packet.state = 0;
  const connection = find(packet, now);
  const frontend = askedFrontend(packet, connection);
  packet.destination = node.address;
  packet.destinationPort = node.port;
  // What masquerades is tc's.
  if (!connection || !frontend || sameAddress(to.address, node.address)) return XDP.PASS;
  touch(packet, connection, now, ctx.length);
  collect(connection, true);
  const refused = rewriteDestinationXdp(ctx, packet, to);
  if (refused !== 0) return drop(ctx, refused);
  to.address = frontend.address;
  to.port = frontend.port;
  const failed = rewriteSourceXdp(ctx, packet, to);
  if (failed !== 0) return drop(ctx, failed);
  const expired = hop(ctx, packet);
  if (expired !== 0) return drop(ctx, expired);
  const verdict = sendOn(ctx, next);
  rememberRewrite(ctx, next, packet.protocol);
  return verdict;
});

/** To a backend that answers the client itself: with what it is to know, or in an IP packet. */
export const forwardDirect = xdp("skep_xdp_direct", (ctx) => {
  const packet = scratch.get(0);
  if (!packet) return XDP.PASS;
  const backend = backendOf(packet.backend);
  const next = backend ? wayTo(packet, backend) : null;
  if (!backend || !next) return passOn();
  // The client is told at tc.
  if (tooLong(ctx.length - Ethernet.size, overhead(packet), next) !== 0) return XDP.PASS;
  const to = Translation.zero();
  noteBackend(packet, backend.generation);
  if (dispatch.value === DISPATCH_IPIP) {
    if (!nodeAddress(packet, ctx.ingressIfindex, to)) return XDP.PASS;
    const length = ctx.length;
    const failed = encapsulateXdp(ctx, packet, to.address, backend.address);
    if (failed !== 0) return drop(ctx, failed);
    const verdict = sendOn(ctx, next);
    rememberTunnel(ctx, next, length);
    return verdict;
  }
  const asked = Translation.zero();
  asked.address = packet.destination;
  asked.port = packet.destinationPort;
  to.address = backend.address;
  to.port = backend.port;
  const refused = rewriteDestinationXdp(ctx, packet, to);
  if (refused !== 0) return drop(ctx, refused);
  const expired = hop(ctx, packet);
  if (expired !== 0) return drop(ctx, expired);
  if (bearsOption(packet)) {
    const failed = addOptionXdp(ctx, packet, asked);
    return failed === 0 ? sendOn(ctx, next) : drop(ctx, failed);
  }
  const verdict = sendOn(ctx, next);
  rememberRewrite(ctx, next, packet.protocol);
  return verdict;
});

/** The same in a tunnel to the backend's node. */
export const forwardTunnel = xdp("skep_xdp_tun", (ctx) => {
  const packet = scratch.get(0);
  if (!packet) return XDP.PASS;
  const backend = backendOf(packet.backend);
  if (!backend || endpointsByAddress.get(backend.address)) return passOn();
  const remote = tunnelOf(backend.address);
  const next = remote ? nextHop(remote) : null;
  if (!remote || !next || next.hasMacs === 0) return passOn();
  // The client is told at tc.
  if (tooLong(ctx.length - Ethernet.size, tunnelOverhead(packet, remote), next) !== 0) return XDP.PASS;
  const source = Translation.zero();
  if (!outerAddress(remote, next, ctx.ingressIfindex, source)) return XDP.PASS;
  const asked = Translation.zero();
  asked.address = packet.destination;
  asked.port = packet.destinationPort;
  const to = Translation.zero();
  to.address = backend.address;
  to.port = backend.port;
  const refused = rewriteDestinationXdp(ctx, packet, to);
  if (refused !== 0) return drop(ctx, refused);
  const expired = hop(ctx, packet);
  if (expired !== 0) return drop(ctx, expired);
  const failed = tunnelXdp(ctx, packet, { source: source.address, remote, asked });
  return failed === 0 ? sendOn(ctx, next) : drop(ctx, failed);
});

export { drop as dropXdp, sendOn as sendOnXdp };
