// Both directions of the host side of every workload's veth or netkit pair. One program per hook, shared by all endpoints.
import { config, redirect, tc, TC, u32, u8, type i32, type TcContext } from "@skep/bpf";
import { Ethernet, PROTOCOL } from "@skep/bpf/net";
import { refuse, refuseLength, refusesAloud } from "./answer.bpf.ts";
import { balance, isLoopbackReply, restore, TRANSLATED } from "./balance.bpf.ts";
import { LIMITED_EGRESS, LIMITED_INGRESS, police } from "./bandwidth.bpf.ts";
import { find, findAny } from "./connection.bpf.ts";
import { clock } from "./lifetimes.bpf.ts";
import { decrementTtl, drop, hand, MARK_JUDGED, netkit, trace, traceArrival, track } from "./deliver.bpf.ts";
import { count, FROM_ENDPOINT, TO_ENDPOINT, TO_OVERLAY, TO_STACK } from "./events.bpf.ts";
import {
  CALL_NAT_46X64_REPLY,
  CALL_REFUSE,
  CALL_TOO_LONG,
  calls,
  endpointsByAddress,
  endpointsByInterface,
  type Endpoint,
} from "./maps.bpf.ts";
import { MARK_MASK } from "./nodeport.bpf.ts";
import { EGRESS_HERE, EGRESS_NONE, egressGateway, egressOf } from "./egress.bpf.ts";
import { intoTunnel, isTooLong, overlayInterface, overlayMtu, tunnelOf } from "./overlay.bpf.ts";
import { DROP, ETHERTYPE_ARP, freshPacket, type Packet, parse, sameAddress, STATE_REPLY } from "./packet.bpf.ts";
import {
  admit,
  DIRECTION_EGRESS,
  DIRECTION_INGRESS,
  IDENTITY_HOST,
  identityOf,
  isWorld,
  type Question,
} from "./policy.bpf.ts";

/** Policies that select the node are in force between it and its workloads. */
export const hostFirewall = config("host_firewall", u8, 0);

/** Where the host's own endpoint stands in the map of interfaces. */
const HOST_INTERFACE = 0;

/**
 * What stays between link and link is the stack's: router and neighbour solicitations, neighbour advertisements (RFC 4861), reports of who
 * listens to a group (RFC 2710, 3810).
 */
function isNeighbourDiscovery(packet: Packet): boolean {
  if (packet.protocol !== PROTOCOL.ICMPV6) return false;
  const type = packet.icmpType;
  return type === 133 || type === 135 || type === 136 || type === 131 || type === 132 || type === 143;
}

/** Router advertisements and redirects (RFC 4861) are no workload's to send: the host would believe them. */
function isForbidden(packet: Packet): boolean {
  return packet.protocol === PROTOCOL.ICMPV6 && (packet.icmpType === 134 || packet.icmpType === 137);
}

function isOwn(packet: Packet, endpoint: Endpoint): boolean {
  if (packet.isIpv6 !== 0) return sameAddress(packet.source, endpoint.address6);
  return packet.source.w3 === endpoint.address.w3;
}

/** A service cannot serve the packet: its sender is told where there is no backend, unless it is to be dropped without a word. */
function refuseService(ctx: TcContext, packet: Packet, reason: u32, endpoint: u32): i32 {
  const verdict = drop(ctx, packet, reason, DIRECTION_EGRESS, endpoint);
  if (reason === DROP.SERVICE_BACKEND_NOT_FOUND && refusesAloud.value !== 0) calls.tailCall(ctx, CALL_REFUSE);
  return verdict;
}

/** The packet goes back to the workload that sent it, as an answer. */
export const refuseEndpoint = tc("skep_refuse", (ctx) => {
  const packet = freshPacket();
  if (!packet) return TC.SHOT;
  const endpoint = endpointsByInterface.get(ctx.ifindex);
  const ethernet = ctx.header(Ethernet, 0);
  if (!endpoint || !ethernet || parse(ctx, packet, ethernet.type) !== 0) return TC.SHOT;
  return refuse(ctx, packet) ? hand(ctx, endpoint) : TC.SHOT;
});

/** The workload is told how long its packets may be that go into tunnels. */
export const tooLongEndpoint = tc("skep_ep_long", (ctx) => {
  const packet = freshPacket();
  if (!packet) return TC.SHOT;
  const endpoint = endpointsByInterface.get(ctx.ifindex);
  const ethernet = ctx.header(Ethernet, 0);
  if (!endpoint || !ethernet || parse(ctx, packet, ethernet.type) !== 0) return TC.SHOT;
  return refuseLength(ctx, packet, overlayMtu.value) ? hand(ctx, endpoint) : TC.SHOT;
});

/** From the workload: ingress of the host side. */
export const fromEndpoint = tc("skep_from_ep", (ctx) => {
  const packet = freshPacket();
  if (!packet) return TC.SHOT;
  const endpoint = endpointsByInterface.get(ctx.ifindex);
  if (!endpoint) return drop(ctx, packet, DROP.ENDPOINT_NOT_READY, DIRECTION_EGRESS, 0);
  packet.sourceEndpoint = endpoint.id;
  packet.sourceIdentity = endpoint.identity;

  const ethernet = ctx.header(Ethernet, 0);
  if (!ethernet) return drop(ctx, packet, DROP.INVALID_PACKET, DIRECTION_EGRESS, endpoint.id);
  // The gateway's address is answered by the stack.
  if (ethernet.type === ETHERTYPE_ARP) return TC.OK;
  const invalid = parse(ctx, packet, ethernet.type);
  if (invalid !== 0) return drop(ctx, packet, invalid, DIRECTION_EGRESS, endpoint.id);
  if (packet.isIpv6 !== 0) {
    if (isNeighbourDiscovery(packet)) return TC.OK;
    if (isForbidden(packet)) return drop(ctx, packet, DROP.FORBIDDEN_ICMPV6, DIRECTION_EGRESS, endpoint.id);
  }
  if (!isOwn(packet, endpoint)) return drop(ctx, packet, DROP.INVALID_SOURCE_IP, DIRECTION_EGRESS, endpoint.id);

  traceArrival(ctx, packet, FROM_ENDPOINT, DIRECTION_EGRESS, endpoint.id);

  const length = ctx.length;
  const now = clock();
  const found = findAny(packet, now);
  const balanced = balance(ctx, packet, found, now);
  if (balanced > TRANSLATED) return refuseService(ctx, packet, balanced, endpoint.id);
  // A translated packet belongs to its backend's connection.
  const connection = balanced === TRANSLATED ? find(packet, now) : found;
  const isLoopback = packet.loopback !== 0 || isLoopbackReply(packet, connection);

  const target = isLoopback ? endpoint : endpointsByAddress.get(packet.destination);
  if (target) {
    packet.destinationEndpoint = target.id;
    packet.destinationIdentity = target.identity;
  } else {
    packet.destinationIdentity = identityOf(packet.destination);
  }

  const own: Question = {
    endpoint: endpoint.id,
    generation: endpoint.generation,
    direction: DIRECTION_EGRESS,
    peer: packet.destinationIdentity,
  };
  // Nobody keeps a workload from itself.
  const refused = isLoopback ? 0 : admit(ctx, packet, connection, own);
  if (refused !== 0) return drop(ctx, packet, refused, DIRECTION_EGRESS, endpoint.id);

  if (!target) {
    let tunnel = overlayInterface.value === 0 ? null : tunnelOf(packet.destination);
    if (egressGateway.value !== 0 && !tunnel && isWorld(packet.destinationIdentity)) {
      const way = (packet.state & STATE_REPLY) === 0 ? egressOf(packet) : null;
      if (way && way.kind !== EGRESS_HERE) {
        if (way.kind === EGRESS_NONE || overlayInterface.value === 0)
          return drop(ctx, packet, DROP.NO_EGRESS_GATEWAY, DIRECTION_EGRESS, endpoint.id);
        tunnel = way.gateway;
      }
    }
    if (tunnel) {
      // What was translated is cut on the way: its sender would not know what it is told of.
      if (balanced !== TRANSLATED && isTooLong(ctx, packet)) {
        const verdict = drop(ctx, packet, DROP.FRAGMENTATION_NEEDED, DIRECTION_EGRESS, endpoint.id);
        calls.tailCall(ctx, CALL_TOO_LONG);
        return verdict;
      }
      if ((endpoint.flags & LIMITED_EGRESS) !== 0) {
        // A departure time does not outlive the tunnel.
        const excess = police(ctx, endpoint.id, DIRECTION_EGRESS);
        if (excess !== 0) return drop(ctx, packet, excess, DIRECTION_EGRESS, endpoint.id);
      }
      const gone = decrementTtl(ctx, packet);
      if (gone !== 0) return drop(ctx, packet, gone, DIRECTION_EGRESS, endpoint.id);
      const full = track(packet, connection, endpoint.generation, 0, now, length);
      if (full !== 0) return drop(ctx, packet, full, DIRECTION_EGRESS, endpoint.id);
      trace(ctx, packet, TO_OVERLAY, DIRECTION_EGRESS, endpoint.id);
      let lost = restore(ctx, packet, connection);
      if (lost === 0) lost = intoTunnel(ctx, tunnel, endpoint.identity);
      if (lost !== 0) return drop(ctx, packet, lost, DIRECTION_EGRESS, endpoint.id);
      return redirect(overlayInterface.value, 0n);
    }
    let ingress: u32 = 0;
    if (hostFirewall.value !== 0 && packet.destinationIdentity === IDENTITY_HOST) {
      packet.egressCookie = packet.cookie;
      packet.cookie = 0;
      const host = endpointsByInterface.get(HOST_INTERFACE);
      if (!host) return drop(ctx, packet, DROP.ENDPOINT_NOT_READY, DIRECTION_INGRESS, 0);
      ingress = host.generation;
      const asked: Question = {
        endpoint: host.id,
        generation: host.generation,
        direction: DIRECTION_INGRESS,
        peer: packet.sourceIdentity,
      };
      const kept = admit(ctx, packet, connection, asked);
      if (kept !== 0) return drop(ctx, packet, kept, DIRECTION_INGRESS, host.id);
    }
    const full = track(packet, connection, endpoint.generation, ingress, now, length);
    if (full !== 0) return drop(ctx, packet, full, DIRECTION_EGRESS, endpoint.id);
    trace(ctx, packet, TO_STACK, DIRECTION_EGRESS, endpoint.id);
    const wrong = restore(ctx, packet, connection);
    if (wrong === DROP.NAT_46X64_DISABLED) calls.tailCall(ctx, CALL_NAT_46X64_REPLY);
    return wrong === 0 ? TC.OK : drop(ctx, packet, wrong, DIRECTION_EGRESS, endpoint.id);
  }

  // The peer's own hook does not see what is redirected: its ingress policy is asked here.
  count(0, DIRECTION_EGRESS, length);
  packet.egressCookie = packet.cookie;
  packet.cookie = 0;
  const peer: Question = {
    endpoint: target.id,
    generation: target.generation,
    direction: DIRECTION_INGRESS,
    peer: packet.sourceIdentity,
  };
  const denied = isLoopback ? 0 : admit(ctx, packet, connection, peer);
  if (denied !== 0) return drop(ctx, packet, denied, DIRECTION_INGRESS, target.id);
  if ((target.flags & LIMITED_INGRESS) !== 0) {
    const excess = police(ctx, target.id, DIRECTION_INGRESS);
    if (excess !== 0) return drop(ctx, packet, excess, DIRECTION_INGRESS, target.id);
  }
  const expired = decrementTtl(ctx, packet);
  if (expired !== 0) return drop(ctx, packet, expired, DIRECTION_INGRESS, target.id);
  const full = track(packet, connection, endpoint.generation, target.generation, now, length);
  if (full !== 0) return drop(ctx, packet, full, DIRECTION_INGRESS, target.id);
  trace(ctx, packet, TO_ENDPOINT, DIRECTION_INGRESS, target.id);
  const wrong = restore(ctx, packet, connection);
  return wrong === 0 ? hand(ctx, target) : drop(ctx, packet, wrong, DIRECTION_INGRESS, target.id);
});

/** From the host's stack to the workload: egress of the host side. */
export const toEndpoint = tc("skep_to_ep", (ctx) => {
  if (netkit.value !== 0 && (ctx.mark & MARK_MASK) === MARK_JUDGED) return TC.OK;
  const packet = freshPacket();
  if (!packet) return TC.SHOT;
  const endpoint = endpointsByInterface.get(ctx.ifindex);
  if (!endpoint) return drop(ctx, packet, DROP.ENDPOINT_NOT_READY, DIRECTION_INGRESS, 0);
  packet.destinationEndpoint = endpoint.id;
  packet.destinationIdentity = endpoint.identity;

  const ethernet = ctx.header(Ethernet, 0);
  if (!ethernet) return drop(ctx, packet, DROP.INVALID_PACKET, DIRECTION_INGRESS, endpoint.id);
  if (ethernet.type === ETHERTYPE_ARP) return TC.OK;
  const invalid = parse(ctx, packet, ethernet.type);
  if (invalid !== 0) return drop(ctx, packet, invalid, DIRECTION_INGRESS, endpoint.id);
  if (packet.isIpv6 !== 0 && isNeighbourDiscovery(packet)) return TC.OK;
  packet.sourceIdentity = identityOf(packet.source);

  const length = ctx.length;
  const now = clock();
  const connection = find(packet, now);
  let egress: u32 = 0;
  if (hostFirewall.value !== 0 && packet.sourceIdentity === IDENTITY_HOST) {
    const host = endpointsByInterface.get(HOST_INTERFACE);
    if (!host) return drop(ctx, packet, DROP.ENDPOINT_NOT_READY, DIRECTION_EGRESS, 0);
    egress = host.generation;
    const asked: Question = {
      endpoint: host.id,
      generation: host.generation,
      direction: DIRECTION_EGRESS,
      peer: packet.destinationIdentity,
    };
    const kept = admit(ctx, packet, connection, asked);
    if (kept !== 0) return drop(ctx, packet, kept, DIRECTION_EGRESS, host.id);
    packet.egressCookie = packet.cookie;
    packet.cookie = 0;
  }
  const own: Question = {
    endpoint: endpoint.id,
    generation: endpoint.generation,
    direction: DIRECTION_INGRESS,
    peer: packet.sourceIdentity,
  };
  const denied = admit(ctx, packet, connection, own);
  if (denied !== 0) return drop(ctx, packet, denied, DIRECTION_INGRESS, endpoint.id);
  if ((endpoint.flags & LIMITED_INGRESS) !== 0) {
    const excess = police(ctx, endpoint.id, DIRECTION_INGRESS);
    if (excess !== 0) return drop(ctx, packet, excess, DIRECTION_INGRESS, endpoint.id);
  }
  const full = track(packet, connection, egress, endpoint.generation, now, length);
  if (full !== 0) return drop(ctx, packet, full, DIRECTION_INGRESS, endpoint.id);
  trace(ctx, packet, TO_ENDPOINT, DIRECTION_INGRESS, endpoint.id);
  const wrong = restore(ctx, packet, connection);
  return wrong === 0 ? TC.OK : drop(ctx, packet, wrong, DIRECTION_INGRESS, endpoint.id);
});
