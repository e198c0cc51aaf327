// The host's outer interfaces: what workloads send out of the cluster leaves with the node's address, and its answers come back.
import { lpmTrie, tc, TC, u32, u8, type i32, type TcContext } from "@skep/bpf";
import { Ethernet, PROTOCOL } from "@skep/bpf/net";
import { refusesAloud } from "./answer.bpf.ts";
import { TRANSLATED } from "./balance.bpf.ts";
import { LIMITED_EGRESS, shape } from "./bandwidth.bpf.ts";
import { find } from "./connection.bpf.ts";
import { isForGateway, isOtherFamily } from "./families.bpf.ts";
import { clock } from "./lifetimes.bpf.ts";
import { count, EVENT_DROP, report } from "./events.bpf.ts";
import { EGRESS_HERE, egressGateway, egressOf } from "./egress.bpf.ts";
import { devices } from "./device.bpf.ts";
import { countDenied, isDenied, prefilter, PREFILTER_TC } from "./denied.bpf.ts";
import { readOption } from "./direct.bpf.ts";
import { isDirectTunnel } from "./geneve.bpf.ts";
import {
  CALL_DIRECT_ARRIVED,
  CALL_DIRECT_TUNNELLED,
  CALL_NAT_46X64,
  CALL_NAT_46X64_REPLY,
  CALL_NODEPORT,
  CALL_NODEPORT_REFUSE,
  CALL_NODEPORT_REPLY,
  calls,
  endpointsByAddress,
  IpcacheKey,
  type Address,
} from "./maps.bpf.ts";
import { mapBack, mapOut, natFirstPort, Translation } from "./nat.bpf.ts";
import { MARK_MASK, MARK_TRANSLATED, serve } from "./nodeport.bpf.ts";
import { overlayPort } from "./overlay.bpf.ts";
import { DROP, freshPacket, isZero, type Packet, parse, sameAddress, STATE_REPLY } from "./packet.bpf.ts";
import { DIRECTION_EGRESS, DIRECTION_INGRESS, identityOf, isWorld } from "./policy.bpf.ts";
import { rewriteDestination, rewriteSource } from "./rewrite.bpf.ts";

/** Destinations that see workloads' own addresses (ip-masq-agent's nonMasqueradeCIDRs). */
export const nonMasquerade = lpmTrie("skep_nomasq", { key: IpcacheKey, value: u32, maxEntries: 16_384 });

function refuse(ctx: TcContext, packet: Packet, reason: u32, direction: u8): i32 {
  count(u8(reason), direction, ctx.length);
  report(ctx, packet, { type: EVENT_DROP, reason: u8(reason), direction, endpoint: packet.sourceEndpoint, flags: 0 });
  return TC.SHOT;
}

/** Whether a workload's packet leaves with the node's address: one that it opens itself, to outside the cluster. */
function isMasqueraded(packet: Packet, now: u32): boolean {
  packet.destinationIdentity = identityOf(packet.destination);
  if (!isWorld(packet.destinationIdentity)) return false;
  if (nonMasquerade.get({ prefixLength: 128, address: packet.destination })) return false;
  // Who reached the workload by its own address is answered from it.
  find(packet, now);
  return (packet.state & STATE_REPLY) === 0 || packet.related !== 0;
}

/** Tunnels between nodes are nobody's connections. */
function isTunnel(packet: Packet): boolean {
  return overlayPort.value !== 0 && packet.protocol === PROTOCOL.UDP && packet.destinationPort === overlayPort.value;
}

/** What goes out by an outer interface. */
export const toNetwork = tc("skep_to_net", (ctx) => {
  // What comes in for a service and goes on has been translated.
  if ((ctx.mark & MARK_MASK) === MARK_TRANSLATED) return TC.OK;
  const device = devices.get(ctx.ifindex);
  const ethernet = ctx.header(Ethernet, 0);
  if (!device || !ethernet) return TC.OK;
  const packet = freshPacket();
  if (!packet) return TC.SHOT;
  // What is no connection is the host's own.
  if (parse(ctx, packet, ethernet.type) !== 0 || isTunnel(packet)) return TC.OK;
  if (isForGateway(packet)) {
    calls.tailCall(ctx, CALL_NAT_46X64);
    return refuse(ctx, packet, DROP.MISSED_TAIL_CALL, DIRECTION_EGRESS);
  }
  const to = Translation.zero();
  if (packet.isIpv6 !== 0) to.address = device.address6;
  else to.address = device.address;
  const endpoint = endpointsByAddress.get(packet.source);
  if (endpoint) {
    packet.sourceEndpoint = endpoint.id;
    packet.sourceIdentity = endpoint.identity;
    if ((endpoint.flags & LIMITED_EGRESS) !== 0) {
      const excess = shape(ctx, endpoint.id, DIRECTION_EGRESS);
      if (excess !== 0) return refuse(ctx, packet, excess, DIRECTION_EGRESS);
    }
  }
  const now = clock();
  let isChosen = false;
  if (egressGateway.value !== 0) {
    const way = egressOf(packet);
    if (way && way.kind === EGRESS_HERE) {
      // Who reached the workload by its own address is answered from it.
      find(packet, now);
      isChosen = (packet.state & STATE_REPLY) === 0 || packet.related !== 0;
      if (isChosen) to.address = way.address;
      if (isChosen && isZero(to.address)) return refuse(ctx, packet, DROP.NO_EGRESS_IP, DIRECTION_EGRESS);
    }
  }
  if (isZero(to.address)) return TC.OK;
  const isHosts = !isChosen && sameAddress(packet.source, to.address);
  if (isHosts) {
    // The host's own connections give way to those that have their port already.
    if (packet.related === 0 && packet.sourcePort < natFirstPort.value) return TC.OK;
  } else if (!isChosen && (!endpoint || !isMasqueraded(packet, now))) return TC.OK;
  const refused = mapOut(packet, to, now);
  if (refused !== 0) {
    if (isHosts || packet.related !== 0) return TC.OK;
    return refuse(ctx, packet, refused, DIRECTION_EGRESS);
  }
  if (isHosts && packet.related === 0 && to.port === packet.sourcePort) return TC.OK;
  const failed = rewriteSource(ctx, packet, to);
  return failed === 0 ? TC.OK : refuse(ctx, packet, failed, DIRECTION_EGRESS);
});

/** What comes in by an outer interface. */
export const fromNetwork = tc("skep_from_net", (ctx) => {
  const device = devices.get(ctx.ifindex);
  const ethernet = ctx.header(Ethernet, 0);
  if (!device || !ethernet) return TC.OK;
  if ((prefilter.value & PREFILTER_TC) !== 0 && isDenied(ctx, ethernet.type)) {
    countDenied(ctx);
    return TC.SHOT;
  }
  const packet = freshPacket();
  if (!packet) return TC.SHOT;
  if (parse(ctx, packet, ethernet.type) !== 0) return TC.OK;
  if (isDirectTunnel(packet)) {
    calls.tailCall(ctx, CALL_DIRECT_TUNNELLED);
    return refuse(ctx, packet, DROP.MISSED_TAIL_CALL, DIRECTION_INGRESS);
  }
  if (isTunnel(packet)) return TC.OK;
  const now = clock();
  const served = serve(packet, now);
  if (served === TRANSLATED) {
    calls.tailCall(ctx, CALL_NODEPORT);
    return refuse(ctx, packet, DROP.MISSED_TAIL_CALL, DIRECTION_INGRESS);
  }
  if (served !== 0) {
    const verdict = refuse(ctx, packet, served, DIRECTION_INGRESS);
    if (served === DROP.SERVICE_BACKEND_NOT_FOUND && refusesAloud.value !== 0)
      calls.tailCall(ctx, CALL_NODEPORT_REFUSE);
    return verdict;
  }
  if (isForGateway(packet)) {
    calls.tailCall(ctx, CALL_NAT_46X64);
    return refuse(ctx, packet, DROP.MISSED_TAIL_CALL, DIRECTION_INGRESS);
  }
  const to = Translation.zero();
  if (readOption(ctx, packet, to) && endpointsByAddress.get(packet.destination)) {
    calls.tailCall(ctx, CALL_DIRECT_ARRIVED);
    return refuse(ctx, packet, DROP.MISSED_TAIL_CALL, DIRECTION_INGRESS);
  }
  if (mapBack(packet, to, now) !== 0) return TC.OK;
  if (sameAddress(to.address, packet.destination) && to.port === packet.destinationPort) return TC.OK;
  if (isOtherFamily(packet, to.address)) {
    calls.tailCall(ctx, CALL_NAT_46X64_REPLY);
    return refuse(ctx, packet, DROP.MISSED_TAIL_CALL, DIRECTION_INGRESS);
  }
  const failed = rewriteDestination(ctx, packet, to);
  if (failed !== 0) return refuse(ctx, packet, failed, DIRECTION_INGRESS);
  // What a client outside has asked a service goes back to it.
  if (!endpointsByAddress.get(packet.destination)) calls.tailCall(ctx, CALL_NODEPORT_REPLY);
  return TC.OK;
});
