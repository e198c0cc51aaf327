// What the datapath tells: counters of everything, one record for a new flow, its first reply and every drop.
import { config, global, ktimeGetNs, RINGBUF, u32, u64, u8, type TcContext } from "@skep/bpf";
import { Ethernet } from "@skep/bpf/net";
import { events, lostEvents, metrics } from "./maps.bpf.ts";
import { STATE_REPLY, type Packet } from "./packet.bpf.ts";

export const EVENT_DROP = 1;
export const EVENT_TRACE = 4;
export const EVENT_VERDICT = 5;

/** `reason` of a verdict. */
export const VERDICT_DENIED = 0;
export const VERDICT_ALLOWED = 1;
export const VERDICT_AUDIT = 3;

/** Every question to a policy leaves a record; else only those that were audited. */
export const verdictEvents = config("verdict_events", u8, 0);

/**
 * Of packets that go on, what is told (Cilium's monitor aggregation): all of them and where they come in; all of them; those that open a connection, have
 * flags not seen before in their direction, or come when none was told of for a while; those that open a connection and their first answer.
 */
export const AGGREGATION_NONE = 0;
export const AGGREGATION_LOW = 1;
export const AGGREGATION_MEDIUM = 2;
export const AGGREGATION_MAXIMUM = 3;
export const aggregation = config("monitor_aggregation", u8, AGGREGATION_MAXIMUM);
/** TCP flags that are worth telling of. */
export const monitorFlags = config("monitor_flags", u8, 0x07);
/** Seconds, less than 128: the rows keep the low bits of the time. */
export const monitorInterval = config("monitor_interval", u8, 5);

export const TO_ENDPOINT = 0;
export const TO_STACK = 3;
export const TO_OVERLAY = 4;
export const FROM_ENDPOINT = 5;
export const FROM_OVERLAY = 9;

export const FLAG_REPLY = 1;
export const FLAG_FROM_HOST = 2;
/** Of a connection that was told of before. */
export const FLAG_ESTABLISHED = 4;
/** An ICMP error about it. */
export const FLAG_RELATED = 8;

export function count(reason: u8, direction: u8, length: u32): void {
  const metric = metrics.get((u32(direction) << 8) | u32(reason));
  if (!metric) return;
  metric.packets += 1n;
  metric.bytes += u64(length);
}

export interface EventOptions {
  type: u8;
  reason: u8;
  direction: u8;
  endpoint: u32;
  flags: u8;
}

/** Telling the reader takes longer than all else that a packet meets: it is told once in so many nanoseconds, and then reads until they are over. */
export const TELL_EACH = 4_000_000n;
/** When the reader was told. Two processors that tell it at once do no harm. */
export const toldAt = global("skep_told", u64);

function tell(now: u64): u64 {
  if (now - toldAt.value < TELL_EACH) return RINGBUF.NO_WAKEUP;
  toldAt.value = now;
  return RINGBUF.FORCE_WAKEUP;
}

export function report(ctx: TcContext, packet: Packet, options: EventOptions): void {
  const event = events.reserve();
  if (!event) {
    const lost = lostEvents.ref(0);
    if (lost) lost.value += 1n;
    return;
  }
  event.time = ktimeGetNs();
  event.type = options.type;
  event.reason = options.reason;
  event.direction = options.direction;
  event.flags = options.flags | ((packet.state & STATE_REPLY) !== 0 ? FLAG_REPLY : 0);
  event.sourceIdentity = packet.sourceIdentity;
  event.destinationIdentity = packet.destinationIdentity;
  event.endpoint = options.endpoint;
  event.sourceEndpoint = packet.sourceEndpoint;
  event.destinationEndpoint = packet.destinationEndpoint;
  event.ifindex = ctx.ifindex;
  event.length = ctx.length;
  event.source = packet.source;
  event.destination = packet.destination;
  event.sourcePort = packet.sourcePort;
  event.destinationPort = packet.destinationPort;
  event.protocol = packet.protocol;
  event.tcpFlags = packet.tcpFlags;
  event.icmpType = packet.icmpType;
  event.icmpCode = packet.icmpCode;
  event.cookie = packet.cookie;
  event.egressCookie = packet.egressCookie;
  const ethernet = ctx.header(Ethernet, 0);
  if (ethernet) {
    event.ethertype = ethernet.type;
    event.sourceMac.bytes = ethernet.source;
    event.destinationMac.bytes = ethernet.destination;
  }
  events.submit(event, tell(event.time));
}
