// Clients of one IP family and what serves them of the other: services (Cilium's NAT46x64) and, for IPv6 clients, every IPv4 host (its gateway).
// The flow's connection and mapping have an end of either family, which is what their keys can hold.
import { redirect, tc, TC, xdp, XDP, type i32, type TcContext, type XdpContext, u16, u32 } from "@skep/bpf";
import { Ethernet, PROTOCOL } from "@skep/bpf/net";
import { refuseLength } from "./answer.bpf.ts";
import { servicesGeneration } from "./balance.bpf.ts";
import { find, open, touch } from "./connection.bpf.ts";
import { devices, type NextHop } from "./device.bpf.ts";
import { lengthOf } from "./direct.bpf.ts";
import { embedded, isEmbedded, isMapped, isOtherFamily, nat46x64, nat64Gateway, nat64Local } from "./families.bpf.ts";
import { clock } from "./lifetimes.bpf.ts";
import {
  CALL_NAT_46X64_ON,
  CALL_NAT_46X64_TOO_LONG,
  calls,
  endpointsByAddress,
  type Address,
  type Connection,
} from "./maps.bpf.ts";
import { mapBack, mapOut } from "./nat.bpf.ts";
import { dropServed as drop, goOn, turnBack } from "./nodeport-tc.bpf.ts";
import { askedFrontend, nextHop, toBackend } from "./nodeport.bpf.ts";
import { intoTunnel, overlayInterface, overlayMtu, tunnelOf } from "./overlay.bpf.ts";
import { DROP, isZero, sameAddress, scratch, type Packet } from "./packet.bpf.ts";
import { identityOf } from "./policy.bpf.ts";
import { backendOf } from "./services.bpf.ts";
import { isSummed, plans, translateTc, translateXdp, type Plan } from "./translate.bpf.ts";
import { dropXdp, sendOnXdp } from "./xdp.bpf.ts";

const WORLD = 2;
/** From here on identities are of prefixes, and each node numbers them itself. */
const LOCAL_IDENTITIES = 1 << 24;

/** Both families' tables call ICMP what the other end's family does. */
function otherIcmp(packet: Packet): void {
  const isIpv6 = packet.isIpv6 !== 0;
  const [from, to] = isIpv6 ? [PROTOCOL.ICMPV6, PROTOCOL.ICMP] : [PROTOCOL.ICMP, PROTOCOL.ICMPV6];
  if (packet.innerProtocol === from) packet.innerProtocol = to;
  if (packet.protocol !== from) return;
  packet.protocol = to;
  if (packet.icmpType === (isIpv6 ? 128 : 8)) packet.icmpType = isIpv6 ? 8 : 128;
}

/** The node's address at the interface, in the other family: false where it has none. */
function otherAddress(packet: Packet, ifindex: u32, plan: Plan): boolean {
  const device = devices.get(ifindex);
  if (!device) return false;
  if (packet.isIpv6 !== 0) plan.source.address = device.address;
  else plan.source.address = device.address6;
  return !isZero(plan.source.address);
}

/** Whom the packet goes to. False where its backend is gone. */
function aim(packet: Packet, plan: Plan): boolean {
  if (packet.service === 0) {
    plan.destination.address = { w0: 0, w1: 0, w2: 0xffff, w3: packet.destination.w3 };
    plan.destination.port = packet.related !== 0 ? packet.innerSourcePort : packet.destinationPort;
    if (packet.related !== 0) packet.innerSource = plan.destination.address;
    return true;
  }
  const backend = backendOf(packet.backend);
  if (!backend) return false;
  plan.destination.address = backend.address;
  plan.destination.port = backend.port;
  toBackend(packet, backend);
  return true;
}

/** The longest packet on the way to the address; 0: not known. */
function mtuOf(destination: Address, isTunnelled: boolean): u32 {
  if (isTunnelled) return overlayMtu.value;
  const next = nextHop(destination);
  return next ? next.mtu : 0;
}

/** How long the packet may be, where it gets too long for its way in the other family; else 0. */
function lengthLeft(ctx: TcContext, packet: Packet, mtu: u32): u32 {
  if (mtu === 0) return 0;
  const length = lengthOf(ctx, packet);
  if (packet.isIpv6 !== 0) return length > mtu + SHORTER ? mtu + SHORTER : 0;
  const more: u32 = packet.fragment !== 0 ? SHORTER + 8 : SHORTER;
  return length + more > mtu ? mtu - more : 0;
}
const SHORTER = 20;

/** The client, or the backend, is told how long its packets may be: `plan.sum`. It has the packet as it came. */
export const tooLong46x64 = tc("skep_46x64_long", (ctx) => {
  const packet = scratch.get(0);
  const plan = plans.get(0);
  if (!packet || !plan) return TC.SHOT;
  const verdict = drop(ctx, packet, DROP.FRAGMENTATION_NEEDED);
  return refuseLength(ctx, packet, plan.sum) ? turnBack(ctx, packet) : verdict;
});

/** To a workload of this node: the client's IPv4 address is in the prefix's, the other way round all clients have one. */
function standIn(packet: Packet, plan: Plan): void {
  if (packet.isIpv6 !== 0) plan.source.address = { w0: 0, w1: 0, w2: 0xffff, w3: nat64Local.value };
  else plan.source.address = embedded(packet.source.w3);
}

/** What the client has sent belongs to a flow that has its source elsewhere: the plan's is made whole. 0 or a drop code. */
function leave(packet: Packet, plan: Plan, isLocal: boolean, length: u32): u32 {
  const now = clock();
  packet.state = 0;
  packet.destination = plan.destination.address;
  packet.destinationPort = plan.destination.port;
  packet.policyPort = plan.destination.port;
  otherIcmp(packet);
  if (!isLocal) {
    const full = known(packet, now, length);
    if (full !== 0) return full;
  }
  const none = mapOut(packet, plan.source, now);
  if (none !== 0) return none;
  if (isLocal) {
    packet.source = plan.source.address;
    packet.sourcePort = plan.source.port;
    // The workload's own hook counts its packets.
    const full = known(packet, now, 0);
    if (full !== 0) return full;
  }
  // Who speaks about the flow has no address of the other family.
  plan.router = plan.source.address;
  return 0;
}

/** The connection's entry is kept or made. What speaks about a connection is not part of it. 0 or a drop code. */
function known(packet: Packet, now: u32, length: u32): u32 {
  if (packet.related !== 0) return 0;
  const connection = find(packet, now);
  if (!connection) return open(packet, { egress: 0, ingress: 0 }, servicesGeneration(), now, length);
  if (length !== 0) touch(packet, connection, now, length);
  return 0;
}

/** What a client has sent to a service, or to the prefix: on in the other family. */
export const serve46x64 = tc("skep_46x64", (ctx) => {
  const packet = scratch.get(0);
  const plan = plans.get(0);
  if (!packet || !plan) return TC.SHOT;
  const client = identityOf(packet.source);
  if (!aim(packet, plan)) return drop(ctx, packet, DROP.SERVICE_BACKEND_NOT_FOUND);
  const target = endpointsByAddress.get(plan.destination.address);
  const remote = overlayInterface.value !== 0 && !target ? tunnelOf(plan.destination.address) : null;
  if (target) standIn(packet, plan);
  else if (!otherAddress(packet, remote ? overlayInterface.value : ctx.ifindex, plan))
    return drop(ctx, packet, DROP.NO_NAT_MAPPING);
  const left =
    target || packet.related !== 0 ? 0 : lengthLeft(ctx, packet, mtuOf(plan.destination.address, remote !== null));
  if (left !== 0) {
    plan.sum = left;
    calls.tailCall(ctx, CALL_NAT_46X64_TOO_LONG);
    return drop(ctx, packet, DROP.MISSED_TAIL_CALL);
  }
  const full = leave(packet, plan, target !== null, ctx.length);
  if (full !== 0) return drop(ctx, packet, full);
  plan.client = client;
  calls.tailCall(ctx, CALL_NAT_46X64_ON);
  return drop(ctx, packet, DROP.MISSED_TAIL_CALL);
});

/** On its way, with the plan's ends. */
export const goOn46x64 = tc("skep_46x64_on", (ctx) => {
  const packet = scratch.get(0);
  const plan = plans.get(0);
  if (!packet || !plan) return TC.SHOT;
  const { client } = plan;
  const target = endpointsByAddress.get(plan.destination.address);
  const remote = overlayInterface.value !== 0 && !target ? tunnelOf(plan.destination.address) : null;
  const refused = translateTc(ctx, packet, plan);
  if (refused !== 0) return drop(ctx, packet, refused);
  if (remote) {
    // Numbers of prefixes are this node's own.
    const lost = intoTunnel(ctx, remote, client >= LOCAL_IDENTITIES ? WORLD : client);
    return lost === 0 ? redirect(overlayInterface.value, 0n) : drop(ctx, packet, lost);
  }
  if (!target) return goOn(ctx, packet.destination);
  const ethernet = ctx.header(Ethernet, 0);
  if (!ethernet) return TC.SHOT;
  ethernet.destination = target.mac.bytes;
  ethernet.source = target.hostMac.bytes;
  // By the workload's own hook, which asks its policy.
  return redirect(target.ifindex, 0n);
});

/** Who the answer is from, as its client sees it. */
function answerFrom(packet: Packet, plan: Plan, connection: Connection | null): boolean {
  const frontend = askedFrontend(packet, connection);
  if (frontend) {
    plan.source.address = frontend.address;
    plan.source.port = frontend.port;
    return true;
  }
  if (nat64Gateway.value === 0 || packet.isIpv6 !== 0) return false;
  const host: Address = packet.related !== 0 ? packet.innerDestination : packet.source;
  plan.source.address = embedded(host.w3);
  plan.source.port = packet.related !== 0 ? packet.innerDestinationPort : packet.sourcePort;
  return true;
}

/** Of an error: who says it. A router of IPv6 has no IPv4 address: the node speaks for it (RFC 6791). */
function routerOf(packet: Packet, plan: Plan, ifindex: u32): void {
  const { source } = packet;
  if (sameAddress(source, packet.innerDestination)) plan.router = plan.source.address;
  else if (packet.isIpv6 === 0) plan.router = embedded(source.w3);
  else if (isEmbedded(source)) plan.router = { w0: 0, w1: 0, w2: 0xffff, w3: source.w3 };
  else {
    const device = devices.get(ifindex);
    if (device && !isZero(device.address)) plan.router = device.address;
    else plan.router = plan.source.address;
  }
}

/** The client is a workload of this node, or the node itself: what comes goes up the stack. */
function isOfNode(ctx: TcContext, address: Address): boolean {
  if (endpointsByAddress.get(address)) return true;
  const device = devices.get(ctx.ifindex);
  return device !== null && sameAddress(address, device.address6);
}

/** The packet belongs to its client's connection. */
function toClient(packet: Packet, plan: Plan): void {
  packet.destination = plan.destination.address;
  packet.destinationPort = plan.destination.port;
  if (packet.related === 0) return;
  packet.innerSource = plan.destination.address;
  packet.innerSourcePort = plan.destination.port;
}

/** An answer to what has left in this family goes back in its client's. What is none goes up the stack. */
export const answer46x64 = tc("skep_46x64_r", (ctx) => {
  const packet = scratch.get(0);
  const plan = plans.get(0);
  if (!packet || !plan) return TC.SHOT;
  const now = clock();
  if (mapBack(packet, plan.destination, now) !== 0) return TC.OK;
  if (!isOtherFamily(packet, plan.destination.address)) return TC.OK;
  const left = packet.related !== 0 ? 0 : lengthLeft(ctx, packet, mtuOf(plan.destination.address, false));
  if (left !== 0) {
    plan.sum = left;
    calls.tailCall(ctx, CALL_NAT_46X64_TOO_LONG);
    return drop(ctx, packet, DROP.MISSED_TAIL_CALL);
  }
  const isLocal = packet.sourceEndpoint !== 0;
  packet.state = 0;
  if (!isLocal) toClient(packet, plan);
  const connection = find(packet, now);
  if (!connection || !answerFrom(packet, plan, connection)) return TC.OK;
  routerOf(packet, plan, ctx.ifindex);
  if (!isLocal) touch(packet, connection, now, ctx.length);
  const refused = translateTc(ctx, packet, plan);
  if (refused !== 0) return drop(ctx, packet, refused);
  if (isLocal || isOfNode(ctx, packet.destination)) return TC.OK;
  return goOn(ctx, packet.destination);
});

// ---- XDP: services alone, and none that tc does as well: local backends, what is too long, UDP without a checksum ----

/** To a backend of the other family, by a way that is known. */
export const serve46x64Xdp = xdp("skep_xdp_46x64", (ctx) => {
  const packet = scratch.get(0);
  const plan = plans.get(0);
  if (!packet || !plan || nat46x64.value === 0 || !aim(packet, plan)) return XDP.PASS;
  const next = wayBy(ctx, packet, plan);
  if (!next || !otherAddress(packet, ctx.ingressIfindex, plan)) return XDP.PASS;
  const full = leave(packet, plan, false, ctx.length);
  if (full !== 0) return dropXdp(ctx, full);
  const refused = translateXdp(ctx, packet, plan);
  return refused === 0 ? sendOnXdp(ctx, next) : dropXdp(ctx, refused);
});

/** The next hop to the plan's destination; null where tc finds it, or says that the packet is too long. */
function wayBy(ctx: XdpContext, packet: Packet, plan: Plan): NextHop | null {
  if (endpointsByAddress.get(plan.destination.address) || !isSummed(ctx, packet)) return null;
  const next = nextHop(plan.destination.address);
  if (!next || next.hasMacs === 0) return null;
  const length: u32 = ctx.length - Ethernet.size + (packet.isIpv6 !== 0 ? 0 : SHORTER);
  return next.mtu !== 0 && length > next.mtu + (packet.isIpv6 !== 0 ? SHORTER : 0) ? null : next;
}

/** An answer: back to the client. */
export const answer46x64Xdp = xdp("skep_xdp_46x64r", (ctx) => {
  const packet = scratch.get(0);
  const plan = plans.get(0);
  if (!packet || !plan) return XDP.PASS;
  plan.destination.address = packet.innerDestination;
  plan.destination.port = packet.innerDestinationPort;
  const next = wayBy(ctx, packet, plan);
  if (!next) return XDP.PASS;
  packet.state = 0;
  toClient(packet, plan);
  const connection = find(packet, clock());
  if (!connection || !answerFrom(packet, plan, connection)) return XDP.PASS;
  touch(packet, connection, clock(), ctx.length);
  const refused = translateXdp(ctx, packet, plan);
  return refused === 0 ? sendOnXdp(ctx, next) : dropXdp(ctx, refused);
});
