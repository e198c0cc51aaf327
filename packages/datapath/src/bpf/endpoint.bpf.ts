// Both directions of the host side of every workload's veth. One program per hook, shared by all endpoints.
import { redirectPeer, tc, TC, u16, u32, u8, type i32, type TcContext } from "@skep/bpf";
import { Ethernet, Ipv4 } from "@skep/bpf/net";
import { count, EVENT_DROP, EVENT_TRACE, FLAG_FROM_HOST, report, TO_ENDPOINT, TO_STACK } from "./events.bpf.ts";
import { endpointsByAddress, endpointsByInterface, type Endpoint } from "./maps.bpf.ts";
import { DROP, ETHERTYPE_ARP, ETHERTYPE_IPV4, Packet, parseIpv4, STATE_FIRST_REPLY, STATE_NEW } from "./packet.bpf.ts";
import { admit, DIRECTION_EGRESS, DIRECTION_INGRESS, identityOf } from "./policy.bpf.ts";

function drop(ctx: TcContext, packet: Packet, reason: u32, direction: u8, endpoint: u32): i32 {
  count(u8(reason), direction, ctx.length);
  report(ctx, packet, { type: EVENT_DROP, reason: u8(reason), direction, endpoint, flags: 0 });
  return TC.SHOT;
}

function trace(ctx: TcContext, packet: Packet, point: u8, direction: u8, endpoint: u32): void {
  count(0, direction, ctx.length);
  if ((packet.state & (STATE_NEW | STATE_FIRST_REPLY)) !== 0) {
    report(ctx, packet, {
      type: EVENT_TRACE,
      reason: point,
      direction,
      endpoint,
      flags: direction === DIRECTION_INGRESS && packet.sourceEndpoint === 0 ? FLAG_FROM_HOST : 0,
    });
  }
}

/** The hop between two workloads is a routed one: one TTL less, and the checksum mended (RFC 1624). */
function decrementTtl(ctx: TcContext): u32 {
  const ip = ctx.header(Ipv4, Ethernet.size);
  if (!ip) return DROP.INVALID_PACKET;
  if (ip.ttl <= 1) return DROP.TTL_EXCEEDED;
  ip.ttl -= 1;
  // The TTL is the high byte of its 16-bit word: the sum falls by 0x0100, so its complement rises.
  const sum: u32 = u32(ip.checksum) + 0x0100;
  ip.checksum = u16(sum + (sum >= 0xffff ? 1 : 0));
  return 0;
}

/** Straight into the workload's namespace. */
function deliver(ctx: TcContext, target: Endpoint): i32 {
  const ethernet = ctx.header(Ethernet, 0);
  if (!ethernet) return TC.SHOT;
  ethernet.destination = target.mac.bytes;
  ethernet.source = target.hostMac.bytes;
  return redirectPeer(target.ifindex, 0n);
}

/** From the workload: ingress of the host side. */
export const fromEndpoint = tc("skep_from_ep", (ctx) => {
  const packet = Packet.zero();
  const endpoint = endpointsByInterface.get(ctx.ifindex);
  if (!endpoint) return drop(ctx, packet, DROP.ENDPOINT_NOT_READY, DIRECTION_EGRESS, 0);
  packet.sourceEndpoint = endpoint.id;
  packet.sourceIdentity = endpoint.identity;

  const ethernet = ctx.header(Ethernet, 0);
  if (!ethernet) return drop(ctx, packet, DROP.INVALID_PACKET, DIRECTION_EGRESS, endpoint.id);
  // The gateway's address is answered by the stack.
  if (ethernet.type === ETHERTYPE_ARP) return TC.OK;
  if (ethernet.type !== ETHERTYPE_IPV4) return drop(ctx, packet, DROP.UNSUPPORTED_L3, DIRECTION_EGRESS, endpoint.id);

  const invalid = parseIpv4(ctx, packet);
  if (invalid !== 0) return drop(ctx, packet, invalid, DIRECTION_EGRESS, endpoint.id);
  if (packet.source.w3 !== endpoint.address.w3) {
    return drop(ctx, packet, DROP.INVALID_SOURCE_IP, DIRECTION_EGRESS, endpoint.id);
  }

  const target = endpointsByAddress.get(packet.destination);
  if (target) {
    packet.destinationEndpoint = target.id;
    packet.destinationIdentity = target.identity;
  } else {
    packet.destinationIdentity = identityOf(packet.destination);
  }

  const length = ctx.length;
  const refused = admit(packet, endpoint.id, DIRECTION_EGRESS, length);
  if (refused !== 0) return drop(ctx, packet, refused, DIRECTION_EGRESS, endpoint.id);
  if (!target) {
    trace(ctx, packet, TO_STACK, DIRECTION_EGRESS, endpoint.id);
    return TC.OK;
  }

  // The peer's own hook does not see what is redirected: its ingress policy is asked here.
  count(0, DIRECTION_EGRESS, length);
  packet.egressCookie = packet.cookie;
  packet.cookie = 0;
  const denied = admit(packet, target.id, DIRECTION_INGRESS, length);
  if (denied !== 0) return drop(ctx, packet, denied, DIRECTION_INGRESS, target.id);
  const expired = decrementTtl(ctx);
  if (expired !== 0) return drop(ctx, packet, expired, DIRECTION_INGRESS, target.id);
  trace(ctx, packet, TO_ENDPOINT, DIRECTION_INGRESS, target.id);
  return deliver(ctx, target);
});

/** From the host's stack to the workload: egress of the host side. */
export const toEndpoint = tc("skep_to_ep", (ctx) => {
  const packet = Packet.zero();
  const endpoint = endpointsByInterface.get(ctx.ifindex);
  if (!endpoint) return drop(ctx, packet, DROP.ENDPOINT_NOT_READY, DIRECTION_INGRESS, 0);
  packet.destinationEndpoint = endpoint.id;
  packet.destinationIdentity = endpoint.identity;

  const ethernet = ctx.header(Ethernet, 0);
  if (!ethernet) return drop(ctx, packet, DROP.INVALID_PACKET, DIRECTION_INGRESS, endpoint.id);
  if (ethernet.type === ETHERTYPE_ARP) return TC.OK;
  if (ethernet.type !== ETHERTYPE_IPV4) return drop(ctx, packet, DROP.UNSUPPORTED_L3, DIRECTION_INGRESS, endpoint.id);

  const invalid = parseIpv4(ctx, packet);
  if (invalid !== 0) return drop(ctx, packet, invalid, DIRECTION_INGRESS, endpoint.id);
  packet.sourceIdentity = identityOf(packet.source);

  const denied = admit(packet, endpoint.id, DIRECTION_INGRESS, ctx.length);
  if (denied !== 0) return drop(ctx, packet, denied, DIRECTION_INGRESS, endpoint.id);
  trace(ctx, packet, TO_ENDPOINT, DIRECTION_INGRESS, endpoint.id);
  return TC.OK;
});
