// What becomes of a packet that has been judged: dropped, told, handed to a workload; its connection's entry.
import { config, csumUpdate, redirect, redirectPeer, TC, u16, u32, u8, type i32, type TcContext } from "@skep/bpf";
import { Ethernet, Ipv4, Ipv6 } from "@skep/bpf/net";
import { isAnswer, tellAnswer } from "./answers.bpf.ts";
import { servicesGeneration } from "./balance.bpf.ts";
import { open, touch } from "./connection.bpf.ts";
import {
  aggregation,
  AGGREGATION_LOW,
  AGGREGATION_NONE,
  count,
  EVENT_DROP,
  EVENT_TRACE,
  FLAG_ESTABLISHED,
  FLAG_FROM_HOST,
  FLAG_RELATED,
  report,
  TO_ENDPOINT,
} from "./events.bpf.ts";
import type { Connection, Endpoint } from "./maps.bpf.ts";
import { DROP, type Packet, STATE_FIRST_REPLY, STATE_NEW, STATE_REPLY, STATE_TOLD } from "./packet.bpf.ts";
import { DIRECTION_INGRESS } from "./policy.bpf.ts";

/** As the kernel sums, in words of a little-endian machine: the hop limit is the high byte of its own. */
const HOP_LESS = 0xfffffeff;

export function drop(ctx: TcContext, packet: Packet, reason: u32, direction: u8, endpoint: u32): i32 {
  count(u8(reason), direction, ctx.length);
  report(ctx, packet, { type: EVENT_DROP, reason: u8(reason), direction, endpoint, flags: 0 });
  return TC.SHOT;
}

export function trace(ctx: TcContext, packet: Packet, point: u8, direction: u8, endpoint: u32): void {
  count(0, direction, ctx.length);
  if (aggregation.value <= AGGREGATION_LOW || (packet.state & (STATE_NEW | STATE_FIRST_REPLY | STATE_TOLD)) !== 0) {
    let flags: u8 = direction === DIRECTION_INGRESS && packet.sourceEndpoint === 0 ? FLAG_FROM_HOST : 0;
    if (packet.related !== 0) flags |= FLAG_RELATED;
    else if ((packet.state & (STATE_NEW | STATE_REPLY)) === 0) flags |= FLAG_ESTABLISHED;
    report(ctx, packet, { type: EVENT_TRACE, reason: point, direction, endpoint, flags });
  }
  if (point === TO_ENDPOINT && isAnswer(packet)) tellAnswer(ctx, packet, endpoint);
}

/** A packet that has come, of which nothing is known yet but its sender. */
export function traceArrival(ctx: TcContext, packet: Packet, point: u8, direction: u8, endpoint: u32): void {
  if (aggregation.value !== AGGREGATION_NONE) return;
  report(ctx, packet, { type: EVENT_TRACE, reason: point, direction, endpoint, flags: 0 });
}

/** The hop between two workloads is a routed one: one TTL less, and IPv4's checksum mended (RFC 1624). */
export function decrementTtl(ctx: TcContext, packet: Packet): u32 {
  if (packet.isIpv6 !== 0) {
    const ip = ctx.header(Ipv6, Ethernet.size);
    if (!ip) return DROP.INVALID_PACKET;
    if (ip.hopLimit <= 1) return DROP.TTL_EXCEEDED;
    ip.hopLimit -= 1;
    // No checksum takes it up: what the receiver has summed (CHECKSUM_COMPLETE) falls too.
    csumUpdate(ctx, HOP_LESS);
    return 0;
  }
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
export function deliver(ctx: TcContext, target: Endpoint): i32 {
  const ethernet = ctx.header(Ethernet, 0);
  if (!ethernet) return TC.SHOT;
  ethernet.destination = target.mac.bytes;
  ethernet.source = target.hostMac.bytes;
  return redirectPeer(target.ifindex, 0n);
}

/** Workloads' devices are netkit pairs, whose programs run where the sender's end hands a packet over: no ingress, from which a peer could be reached. */
export const netkit = config("netkit", u8, 0);

/** On packets between workloads of this node, which the sender's program has judged for both. */
export const MARK_JUDGED = 0x0600;

/** As `deliver`, for what a workload of this node sends. */
export function hand(ctx: TcContext, target: Endpoint): i32 {
  if (netkit.value === 0) return deliver(ctx, target);
  const ethernet = ctx.header(Ethernet, 0);
  if (!ethernet) return TC.SHOT;
  ethernet.destination = target.mac.bytes;
  ethernet.source = target.hostMac.bytes;
  // It leaves by the host's end, past the program there; the mark does not leave the namespace.
  ctx.mark = MARK_JUDGED;
  return redirect(target.ifindex, 0n);
}

/** Between two ends of which this hook has judged both: the entry is kept or made. 0 or a drop code. */
export function track(
  packet: Packet,
  connection: Connection | null,
  egress: u32,
  ingress: u32,
  now: u32,
  length: u32,
): u32 {
  if (connection) {
    touch(packet, connection, now, length);
    return 0;
  }
  return open(packet, { egress, ingress }, servicesGeneration(), now, length);
}
