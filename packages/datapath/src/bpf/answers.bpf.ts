// What a name server answers a workload, for user space: which names its addresses have is in there.
import {
  array,
  ktimeGetNs,
  skbLoadBytes,
  struct,
  u16,
  u32,
  u64,
  u8,
  type i64,
  type Of,
  type TcContext,
} from "@skep/bpf";
import { PROTOCOL, Udp } from "@skep/bpf/net";
import { Address, events, lostEvents } from "./maps.bpf.ts";
import { FRAGMENT_LATER, STATE_REPLY, type Packet } from "./packet.bpf.ts";

export const EVENT_ANSWER = 200;

const DNS_PORT = 53;
const DNS_HEADER = 12;
/** Longer ones are told without their bytes. */
const LONGEST = 1023;

/**
 * A record of the ring of events, longer than those: time and type stand where they stand in an `Event`. Helpers copy pieces whose size is known
 * when the program is verified: the message of `size` bytes lies in those pieces whose sizes add up to it, the largest first.
 */
export const Answer = struct("Answer", {
  time: u64,
  type: u8,
  pad: u8,
  /** Bytes of the message. */
  size: u16,
  /** Of the workload that it is for. */
  endpoint: u32,
  /** Who asked, and who answered. */
  client: Address,
  server: Address,
  b512: array(u8, 512),
  b256: array(u8, 256),
  b128: array(u8, 128),
  b64: array(u8, 64),
  b32: array(u8, 32),
  b16: array(u8, 16),
  b8: array(u8, 8),
  b4: array(u8, 4),
  b2: array(u8, 2),
  b1: array(u8, 1),
  end: u8,
});
export type Answer = Of<typeof Answer>;

/** Where the piece of `bit` bytes starts in a message of `size`: behind the larger ones. */
function startOf(size: u32, bit: u32): u32 {
  return size & ~(bit | (bit - 1));
}

function fill(ctx: TcContext, answer: Answer, payload: u32, size: u32): i64 {
  let failed: i64 = 0n;
  if ((size & 512) !== 0) failed |= skbLoadBytes(ctx, payload, answer.b512);
  if ((size & 256) !== 0) failed |= skbLoadBytes(ctx, payload + startOf(size, 256), answer.b256);
  if ((size & 128) !== 0) failed |= skbLoadBytes(ctx, payload + startOf(size, 128), answer.b128);
  if ((size & 64) !== 0) failed |= skbLoadBytes(ctx, payload + startOf(size, 64), answer.b64);
  if ((size & 32) !== 0) failed |= skbLoadBytes(ctx, payload + startOf(size, 32), answer.b32);
  if ((size & 16) !== 0) failed |= skbLoadBytes(ctx, payload + startOf(size, 16), answer.b16);
  if ((size & 8) !== 0) failed |= skbLoadBytes(ctx, payload + startOf(size, 8), answer.b8);
  if ((size & 4) !== 0) failed |= skbLoadBytes(ctx, payload + startOf(size, 4), answer.b4);
  if ((size & 2) !== 0) failed |= skbLoadBytes(ctx, payload + startOf(size, 2), answer.b2);
  if ((size & 1) !== 0) failed |= skbLoadBytes(ctx, payload + startOf(size, 1), answer.b1);
  return failed;
}

/** A reply in a connection that policy allowed, on its way to the workload. Anything else is none. */
export function isAnswer(packet: Packet): boolean {
  if (packet.protocol !== PROTOCOL.UDP || packet.sourcePort !== DNS_PORT) return false;
  return (packet.state & STATE_REPLY) !== 0 && packet.fragment !== FRAGMENT_LATER && packet.related === 0;
}

export function tellAnswer(ctx: TcContext, packet: Packet, endpoint: u32): void {
  const transport: u32 = packet.transport;
  const udp = ctx.header(Udp, transport);
  if (!udp) return;
  const length: u32 = udp.length;
  if (length < Udp.size + DNS_HEADER || transport + length > ctx.length) return;
  const size: u32 = length - Udp.size;
  const record = events.reserveBytes(Answer.size);
  const answer = record.data(Answer, 0n);
  if (!answer) {
    events.discardBytes(record);
    const lost = lostEvents.ref(0);
    if (lost) lost.value += 1n;
    return;
  }
  answer.time = ktimeGetNs();
  answer.type = EVENT_ANSWER;
  answer.pad = 0;
  answer.size = u16(size);
  answer.endpoint = endpoint;
  answer.client = packet.destination;
  answer.server = packet.source;
  answer.end = 0;
  if (size <= LONGEST && fill(ctx, answer, transport + Udp.size, size) !== 0n) events.discardBytes(record);
  else events.submitBytes(record);
}
