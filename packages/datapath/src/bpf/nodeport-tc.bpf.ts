// Services from outside at the host's interfaces, packet by packet at tc. These programs go on with the packet that `fromNetwork` has looked at.
import {
  csumUpdate,
  redirect,
  redirectNeigh,
  skbChangeTail,
  tc,
  TC,
  u8,
  type i32,
  type TcContext,
  type u32,
} from "@skep/bpf";
import { Ethernet } from "@skep/bpf/net";
import { refuse as answer, refuseLength } from "./answer.bpf.ts";
import { servicesGeneration } from "./balance.bpf.ts";
import { CT_DIRECT } from "./connection-map.bpf.ts";
import { find, open, touch } from "./connection.bpf.ts";
import { clock } from "./lifetimes.bpf.ts";
import { decrementTtl } from "./deliver.bpf.ts";
import {
  addOption,
  bearsOption,
  dispatch,
  DISPATCH_GENEVE,
  DISPATCH_IPIP,
  encapsulateTc,
  lengthOf,
  overhead,
  readOption,
  takeOption,
  tooLong,
} from "./direct.bpf.ts";
import { count, EVENT_DROP, report } from "./events.bpf.ts";
import {
  CALL_DIRECT,
  CALL_DIRECT_TOO_LONG,
  CALL_DIRECT_TUNNEL,
  CALL_NAT_46X64,
  CALL_NAT_46X64_TOO_LONG,
  CALL_NODEPORT_TUNNEL,
  calls,
  endpointsByAddress,
  type Address,
  type Backend,
} from "./maps.bpf.ts";
import { Arrival, leaveTunnel, opensHere, readTunnel, tunnelOverhead, tunnelTc } from "./geneve.bpf.ts";
import { mapOut, noteAsked, Translation } from "./nat.bpf.ts";
import { askedFrontend, MARK_TRANSLATED, nextHop, nodeAddress, outerAddress, toBackend } from "./nodeport.bpf.ts";
import { DROP, freshPacket, parse, scratch, type Packet } from "./packet.bpf.ts";
import { intoTunnel, isTooLong, overlayInterface, overlayMtu, tunnelOf } from "./overlay.bpf.ts";
import { plans } from "./translate.bpf.ts";
import { isOtherFamily, nat46x64 } from "./families.bpf.ts";
import { DIRECTION_INGRESS, identityOf } from "./policy.bpf.ts";
import { rewriteDestination, rewriteSource } from "./rewrite.bpf.ts";
import { backendOf } from "./services.bpf.ts";

function drop(ctx: TcContext, packet: Packet, reason: number): i32 {
  count(u8(reason), DIRECTION_INGRESS, ctx.length);
  report(ctx, packet, { type: EVENT_DROP, reason: u8(reason), direction: DIRECTION_INGRESS, endpoint: 0, flags: 0 });
  return TC.SHOT;
}

const WORLD = 2;
/** From here on identities are of prefixes, and each node numbers them itself. */
const LOCAL_IDENTITIES = 1 << 24;

/**
 * Where the kernel has summed the packet itself (CHECKSUM_COMPLETE, as out of a tunnel), redirect_neigh takes one Ethernet header out of the sum and
 * puts another in uncounted (net/core/filter.c, __bpf_redirect_neigh), and a veth's other end drops it: the sum is to be made anew.
 */
function forgetSum(ctx: TcContext): void {
  if (csumUpdate(ctx, 0) < 0n || ctx.gsoSize !== 0) return;
  const length = ctx.length;
  // What is stretched has no sum (__skb_grow_rcsum).
  if (skbChangeTail(ctx, length + 1, 0n) === 0n) skbChangeTail(ctx, length, 0n);
}

/** On its way: by the interface that leads there, else by the one that it came from. */
function goOn(ctx: TcContext, destination: Address): i32 {
  ctx.mark = MARK_TRANSLATED;
  forgetSum(ctx);
  const next = nextHop(destination);
  return redirectNeigh(next ? next.ifindex : ctx.ifindex);
}

function sendOn(ctx: TcContext, packet: Packet): i32 {
  const expired = decrementTtl(ctx, packet);
  return expired === 0 ? goOn(ctx, packet.destination) : drop(ctx, packet, expired);
}

/** The packet is an answer to its sender. */
function turnBack(ctx: TcContext, packet: Packet): i32 {
  const { source, destination } = packet;
  const client = { w0: source.w0, w1: source.w1, w2: source.w2, w3: source.w3 };
  packet.source = destination;
  packet.destination = client;
  return sendOn(ctx, packet);
}

interface Passed {
  backend: Backend;
  to: Translation;
}

/** The packet becomes its backend's. 0 or a drop code. */
function passTo(ctx: TcContext, packet: Packet, { backend, to }: Passed): u32 {
  to.address = backend.address;
  to.port = backend.port;
  const refused = rewriteDestination(ctx, packet, to);
  if (refused !== 0) return refused;
  toBackend(packet, backend);
  return 0;
}

/** To the backend that was chosen: up the stack where it is local, else on with the node's own address. */
export const nodePort = tc("skep_nodeport", (ctx) => {
  const packet = scratch.get(0);
  if (!packet) return TC.SHOT;
  const backend = backendOf(packet.backend);
  if (!backend) return drop(ctx, packet, DROP.SERVICE_BACKEND_NOT_FOUND);
  if (isOtherFamily(packet, backend.address)) {
    if (nat46x64.value !== 0) calls.tailCall(ctx, CALL_NAT_46X64);
    return drop(ctx, packet, nat46x64.value !== 0 ? DROP.MISSED_TAIL_CALL : DROP.NAT_46X64_DISABLED);
  }
  if (packet.direct !== 0 && !endpointsByAddress.get(backend.address)) {
    if (dispatch.value === DISPATCH_GENEVE) calls.tailCall(ctx, CALL_DIRECT_TUNNEL);
    else calls.tailCall(ctx, CALL_DIRECT);
    return drop(ctx, packet, DROP.MISSED_TAIL_CALL);
  }
  if (overlayInterface.value !== 0 && !endpointsByAddress.get(backend.address) && tunnelOf(backend.address)) {
    calls.tailCall(ctx, CALL_NODEPORT_TUNNEL);
    return drop(ctx, packet, DROP.MISSED_TAIL_CALL);
  }
  const to = Translation.zero();
  const refused = passTo(ctx, packet, { backend, to });
  if (refused !== 0) return drop(ctx, packet, refused);
  const isLocal = endpointsByAddress.get(packet.destination) !== null;
  const now = clock();
  packet.state = 0;
  const connection = find(packet, now);
  if (!connection) {
    // The workload's own hook counts its packets.
    const full = open(packet, { egress: 0, ingress: 0 }, servicesGeneration(), now, isLocal ? 0 : ctx.length);
    if (full !== 0) return drop(ctx, packet, full);
  } else if (!isLocal) {
    touch(packet, connection, now, ctx.length);
  }
  if (isLocal) return TC.OK;
  if (!nodeAddress(packet, ctx.ifindex, to)) return drop(ctx, packet, DROP.NO_NAT_MAPPING);
  const full = mapOut(packet, to, now);
  if (full !== 0) return drop(ctx, packet, full);
  const failed = rewriteSource(ctx, packet, to);
  return failed === 0 ? sendOn(ctx, packet) : drop(ctx, packet, failed);
});

/** To a backend behind a tunnel: with the node's address among its workloads, to which answers come back by the tunnel; the client stays who it is. */
export const nodePortTunnel = tc("skep_nodeport_t", (ctx) => {
  const packet = scratch.get(0);
  const backend = packet ? backendOf(packet.backend) : null;
  const remote = backend ? tunnelOf(backend.address) : null;
  if (!packet || !backend || !remote) return TC.SHOT;
  if (packet.related === 0 && isTooLong(ctx, packet)) {
    const plan = plans.get(0);
    if (plan) plan.sum = overlayMtu.value;
    calls.tailCall(ctx, CALL_NAT_46X64_TOO_LONG);
    return drop(ctx, packet, DROP.MISSED_TAIL_CALL);
  }
  const client = identityOf(packet.source);
  const to = Translation.zero();
  const refused = passTo(ctx, packet, { backend, to });
  if (refused !== 0) return drop(ctx, packet, refused);
  const now = clock();
  packet.state = 0;
  const connection = find(packet, now);
  if (connection) {
    touch(packet, connection, now, ctx.length);
  } else {
    const full = open(packet, { egress: 0, ingress: 0 }, servicesGeneration(), now, ctx.length);
    if (full !== 0) return drop(ctx, packet, full);
  }
  if (!nodeAddress(packet, overlayInterface.value, to)) return drop(ctx, packet, DROP.NO_NAT_MAPPING);
  const full = mapOut(packet, to, now);
  if (full !== 0) return drop(ctx, packet, full);
  const failed = rewriteSource(ctx, packet, to);
  if (failed !== 0) return drop(ctx, packet, failed);
  const expired = decrementTtl(ctx, packet);
  if (expired !== 0) return drop(ctx, packet, expired);
  // Numbers of prefixes are this node's own.
  const lost = intoTunnel(ctx, remote, client >= LOCAL_IDENTITIES ? WORLD : client);
  return lost === 0 ? redirect(overlayInterface.value, 0n) : drop(ctx, packet, lost);
});

/** To a backend of another node that answers the client itself. */
export const nodePortDirect = tc("skep_direct", (ctx) => {
  const packet = scratch.get(0);
  if (!packet) return TC.SHOT;
  const backend = backendOf(packet.backend);
  if (!backend) return drop(ctx, packet, DROP.SERVICE_BACKEND_NOT_FOUND);
  if (tooLong(lengthOf(ctx, packet), overhead(packet), nextHop(backend.address)) !== 0) {
    calls.tailCall(ctx, CALL_DIRECT_TOO_LONG);
    return drop(ctx, packet, DROP.MISSED_TAIL_CALL);
  }
  const to = Translation.zero();
  if (dispatch.value === DISPATCH_IPIP) {
    if (!nodeAddress(packet, ctx.ifindex, to)) return drop(ctx, packet, DROP.NO_NAT_MAPPING);
    const failed = encapsulateTc(ctx, packet, to.address, backend.address);
    if (failed !== 0) return drop(ctx, packet, failed);
    return goOn(ctx, backend.address);
  }
  const asked = Translation.zero();
  asked.address = packet.destination;
  asked.port = packet.destinationPort;
  const refused = passTo(ctx, packet, { backend, to });
  if (refused !== 0) return drop(ctx, packet, refused);
  const expired = decrementTtl(ctx, packet);
  if (expired !== 0) return drop(ctx, packet, expired);
  if (bearsOption(packet)) {
    const failed = addOption(ctx, packet, asked);
    if (failed !== 0) return drop(ctx, packet, failed);
  }
  return goOn(ctx, backend.address);
});

/** To a backend of another node that answers the client itself, in a tunnel to that node. */
export const nodePortDirectTunnel = tc("skep_direct_tun", (ctx) => {
  const packet = scratch.get(0);
  if (!packet) return TC.SHOT;
  const backend = backendOf(packet.backend);
  if (!backend) return drop(ctx, packet, DROP.SERVICE_BACKEND_NOT_FOUND);
  const remote = tunnelOf(backend.address);
  if (!remote) return drop(ctx, packet, DROP.NO_TUNNEL_ENDPOINT);
  const next = nextHop(remote);
  if (tooLong(lengthOf(ctx, packet), tunnelOverhead(packet, remote), next) !== 0) {
    calls.tailCall(ctx, CALL_DIRECT_TOO_LONG);
    return drop(ctx, packet, DROP.MISSED_TAIL_CALL);
  }
  const source = Translation.zero();
  if (!outerAddress(remote, next, ctx.ifindex, source)) return drop(ctx, packet, DROP.NO_TUNNEL_ENDPOINT);
  const asked = Translation.zero();
  asked.address = packet.destination;
  asked.port = packet.destinationPort;
  const to = Translation.zero();
  const refused = passTo(ctx, packet, { backend, to });
  if (refused !== 0) return drop(ctx, packet, refused);
  const expired = decrementTtl(ctx, packet);
  if (expired !== 0) return drop(ctx, packet, expired);
  const failed = tunnelTc(ctx, packet, { source: source.address, remote, asked });
  return failed === 0 ? goOn(ctx, remote) : drop(ctx, packet, failed);
});

/** The client is told how long its packets may be. */
export const nodePortTooLong = tc("skep_direct_long", (ctx) => {
  const packet = scratch.get(0);
  const backend = packet ? backendOf(packet.backend) : null;
  if (!packet || !backend) return TC.SHOT;
  const verdict = drop(ctx, packet, DROP.FRAGMENTATION_NEEDED);
  const remote = dispatch.value === DISPATCH_GENEVE ? tunnelOf(backend.address) : null;
  const mtu = remote
    ? tooLong(lengthOf(ctx, packet), tunnelOverhead(packet, remote), nextHop(remote))
    : tooLong(lengthOf(ctx, packet), overhead(packet), nextHop(backend.address));
  if (mtu === 0 || !refuseLength(ctx, packet, mtu)) return verdict;
  return turnBack(ctx, packet);
});

/** The workload's answers to the client come from what was asked. 0 or a drop code. */
function keepAsked(packet: Packet, asked: Translation): u32 {
  const now = clock();
  packet.state = 0;
  packet.service = 0;
  packet.direct = 1;
  let connection = find(packet, now);
  if (!connection) {
    // The workload's own hook counts its packets.
    const full = open(packet, { egress: 0, ingress: 0 }, servicesGeneration(), now, 0);
    if (full !== 0) return full;
    connection = find(packet, now);
  }
  if (!connection) return DROP.CT_INSERT_FAILED;
  if ((connection.flags & CT_DIRECT) === 0) connection.flags |= CT_DIRECT;
  return noteAsked(packet, asked, connection.expires, now) ? 0 : DROP.NO_NAT_MAPPING;
}

/** Another node has sent a client's packet to a workload of this one. */
export const directArrived = tc("skep_direct_in", (ctx) => {
  const packet = scratch.get(0);
  const asked = Translation.zero();
  if (!packet) return TC.SHOT;
  if (!readOption(ctx, packet, asked)) return TC.OK;
  const full = keepAsked(packet, asked);
  if (full !== 0) return drop(ctx, packet, full);
  const failed = takeOption(ctx, packet);
  return failed === 0 ? TC.OK : drop(ctx, packet, failed);
});

/** The same in a tunnel. What is in it for nobody here is the stack's, and without the option the overlay's device's where there is one. */
export const directTunnelled = tc("skep_direct_out", (ctx) => {
  const packet = scratch.get(0);
  const arrival = Arrival.zero();
  if (!packet) return TC.SHOT;
  if (!opensHere(ctx, packet, arrival)) return TC.OK;
  const asked = Translation.zero();
  const invalid = readTunnel(ctx, packet, arrival, asked);
  if (invalid !== 0) return drop(ctx, packet, invalid);
  if (arrival.isTold === 0 && overlayInterface.value !== 0) return TC.OK;
  const failed = leaveTunnel(ctx, packet, arrival);
  if (failed !== 0) return drop(ctx, packet, failed);
  const inside = freshPacket();
  const ethernet = ctx.header(Ethernet, 0);
  if (!inside || !ethernet) return TC.SHOT;
  const unknown = parse(ctx, inside, ethernet.type);
  if (unknown !== 0) return drop(ctx, inside, unknown);
  if (arrival.isTold === 0) return TC.OK;
  const full = keepAsked(inside, asked);
  return full === 0 ? TC.OK : drop(ctx, inside, full);
});

/** An answer that has its client's address again comes from the service. What is no such answer goes up the stack. */
export const nodePortReply = tc("skep_nodeport_r", (ctx) => {
  const packet = scratch.get(0);
  if (!packet) return TC.SHOT;
  const now = clock();
  packet.state = 0;
  const connection = find(packet, now);
  const frontend = askedFrontend(packet, connection);
  if (!connection || !frontend) return TC.OK;
  touch(packet, connection, now, ctx.length);
  const to = Translation.zero();
  to.address = frontend.address;
  to.port = frontend.port;
  const failed = rewriteSource(ctx, packet, to);
  return failed === 0 ? sendOn(ctx, packet) : drop(ctx, packet, failed);
});

/** The client is told that there is no backend. */
export const nodePortRefuse = tc("skep_nodeport_x", (ctx) => {
  const packet = scratch.get(0);
  return packet && answer(ctx, packet) ? turnBack(ctx, packet) : TC.SHOT;
});

export { drop as dropServed, goOn, turnBack };
