// Source NAT: which address and port take the place of a packet's source, and what an answer is given back to. Both families, TCP, UDP,
// SCTP, echo requests, and ICMP errors about them. What is written into packets stands in rewrite.bpf.ts.
import { config, loop, percpuArray, struct, u16, u32, u8, type Of } from "@skep/bpf";
import { jhashWords } from "@skep/bpf/hash";
import { PROTOCOL } from "@skep/bpf/net";
import { Address } from "./maps.bpf.ts";
import {
  ANSWERED,
  ASKED,
  BACK,
  FIN_BACK,
  FIN_OUT,
  lifetime,
  makeNatRoom,
  nat,
  NatEntry,
  NatKey,
  OUT,
  RST,
} from "./nat-map.bpf.ts";
import { DROP, sameAddress, TCP_FIN, TCP_RST, type Packet } from "./packet.bpf.ts";

/** Ports that may take a source port's place, first and last: above the node ports, as Cilium's (bpf/lib/nodeport.h). */
export const natFirstPort = config("nat_first_port", u16, 32_768);
export const natLastPort = config("nat_last_port", u16, 65_535);

/** For programs whose stack is full. */
export const natKey = percpuArray("skep_nat_key", { value: NatKey, maxEntries: 1 });

/** The address and port to write into a packet. */
export const Translation = struct("Translation", { address: Address, port: u16, pad: u16 });
export type Translation = Of<typeof Translation>;

/** Cilium's SNAT_COLLISION_RETRIES. */
const RETRIES = 32;

const ICMP_ECHO = 8;
const ICMPV6_ECHO = 128;

function touch(entry: NatEntry, packet: Packet, mark: u16, fin: u16, now: u32): void {
  let flags: u16 = entry.flags | mark;
  if (packet.protocol === PROTOCOL.TCP) {
    if ((packet.tcpFlags & TCP_FIN) !== 0) flags |= fin;
    if ((packet.tcpFlags & TCP_RST) !== 0) flags |= RST;
  }
  if (entry.flags !== flags) entry.flags = flags;
  const expires = now + lifetime(packet.protocol, flags);
  if (entry.expires !== expires) entry.expires = expires;
}

/** Protocols whose flows have something like a port at their own end. */
function isMappable(packet: Packet): boolean {
  const protocol = packet.protocol;
  if (protocol === PROTOCOL.TCP || protocol === PROTOCOL.UDP || protocol === PROTOCOL.SCTP) return true;
  if (protocol === PROTOCOL.ICMP) return packet.icmpType === ICMP_ECHO;
  return protocol === PROTOCOL.ICMPV6 && packet.icmpType === ICMPV6_ECHO;
}

/** The key of the packet's own flow; of an ICMP error, of the flow that it is about, whose packet went the other way. */
function fill(key: NatKey, packet: Packet, direction: u8): void {
  key.direction = direction;
  if (packet.related !== 0) {
    key.source = packet.innerDestination;
    key.destination = packet.innerSource;
    key.sourcePort = packet.innerDestinationPort;
    key.destinationPort = packet.innerSourcePort;
    key.protocol = packet.innerProtocol;
    return;
  }
  key.source = packet.source;
  key.destination = packet.destination;
  key.sourcePort = packet.sourcePort;
  key.destinationPort = packet.destinationPort;
  key.protocol = packet.protocol;
}

function isOf(entry: NatEntry, packet: Packet): boolean {
  return entry.port === packet.sourcePort && sameAddress(entry.address, packet.source);
}

function hashOf(packet: Packet): u32 {
  const { source, destination } = packet;
  return jhashWords(
    [
      source.w0 ^ source.w1,
      source.w2 ^ source.w3,
      destination.w0 ^ destination.w1,
      destination.w2 ^ destination.w3,
      (u32(packet.sourcePort) << 16) | u32(packet.destinationPort),
    ],
    packet.protocol,
  );
}

/** Whether the port of the answers' key is the flow's now: it is free, or it was its own already, or its owner is gone. */
function occupy(key: NatKey, entry: NatEntry, now: u32): boolean {
  if (nat.set(key, entry, "new") >= 0n) return true;
  const other = nat.get(key);
  if (!other) return false;
  const isOwn = other.port === entry.port && sameAddress(other.address, entry.address);
  if (!isOwn && other.expires > now) return false;
  other.address = entry.address;
  other.port = entry.port;
  other.flags = entry.flags;
  other.expires = entry.expires;
  return true;
}

/**
 * A port that no live flow to the same end has: the packet's own where it can be, else the same ones in the same order each time, so that
 * a flow whose entry was evicted finds its port again. 0 where there is none.
 */
function takePort(packet: Packet, key: NatKey, now: u32): u16 {
  const entry = NatEntry.zero();
  entry.address = packet.source;
  entry.port = packet.sourcePort;
  touch(entry, packet, 0, FIN_OUT, now);
  const first: u32 = natFirstPort.value;
  const ports: u32 = u32(natLastPort.value) - first + 1;
  const start = hashOf(packet);
  const own = packet.sourcePort;
  const isFit = own >= natFirstPort.value && own <= natLastPort.value;
  key.destinationPort = isFit ? own : u16(first + (start % ports));
  if (occupy(key, entry, now)) return key.destinationPort;
  let isFound = false;
  // The kernel's own loop: its verifier looks at the body once.
  loop(RETRIES, (tried) => {
    // Steps that are not the same for two flows: hashes that meet once do not meet again.
    key.destinationPort = u16(first + ((start + (tried + 1) * ((start >>> 17) | 1)) % ports));
    isFound = occupy(key, entry, now);
    return isFound;
  });
  return isFound ? key.destinationPort : 0;
}

/**
 * What the source of a packet that leaves becomes: `to.address` is given, `to.port` is filled in. The flow's mapping is kept alive, or made.
 * For an ICMP error: the mapping of the flow that it is about. 0 or a drop code; 167 for an error about nothing that is translated.
 */
export function mapOut(packet: Packet, to: Translation, now: u32): u32 {
  const key = NatKey.zero();
  fill(key, packet, OUT);
  const known = nat.get(key);
  if (packet.related !== 0) {
    if (!known) return DROP.NO_NAT_MAPPING;
    to.address = known.address;
    to.port = known.port;
    return 0;
  }
  if (!isMappable(packet)) return DROP.UNSUPPORTED_NAT_PROTOCOL;
  const back = NatKey.zero();
  back.source = packet.destination;
  back.destination = to.address;
  back.sourcePort = packet.destinationPort;
  back.protocol = packet.protocol;
  back.direction = BACK;
  if (known && sameAddress(known.address, to.address)) {
    back.destinationPort = known.port;
    const answers = nat.get(back);
    if (answers && isOf(answers, packet)) {
      touch(answers, packet, 0, FIN_OUT, now);
      to.port = known.port;
      return 0;
    }
  }
  const port = takePort(packet, back, now);
  if (port === 0) {
    makeNatRoom(now);
    return DROP.NO_NAT_MAPPING;
  }
  const entry = NatEntry.zero();
  entry.address = to.address;
  entry.port = port;
  if (nat.set(key, entry) < 0n) return DROP.NO_NAT_MAPPING;
  to.port = port;
  return 0;
}

/**
 * What a client has asked of a service, and another node has sent on to the packet's destination: answers come from there. `expires`: of the
 * connection. False where there is no room.
 */
export function noteAsked(packet: Packet, asked: Translation, expires: u32, now: u32): boolean {
  const key = NatKey.zero();
  key.direction = ASKED;
  key.source = packet.destination;
  key.destination = packet.source;
  key.sourcePort = packet.destinationPort;
  key.destinationPort = packet.sourcePort;
  key.protocol = packet.protocol;
  const known = nat.get(key);
  if (known && known.port === asked.port && sameAddress(known.address, asked.address)) {
    known.expires = expires;
    return true;
  }
  const entry = NatEntry.zero();
  entry.address = asked.address;
  entry.port = asked.port;
  entry.flags = ANSWERED;
  entry.expires = expires;
  if (nat.set(key, entry) >= 0n) return true;
  makeNatRoom(now);
  return nat.set(key, entry) >= 0n;
}

/** Where an answer comes from, as its client sees it: false where that is not known. */
export function askedOf(packet: Packet, to: Translation, expires: u32): boolean {
  const key = natKey.get(0);
  if (!key) return false;
  fill(key, packet, ASKED);
  const entry = nat.get(key);
  if (!entry) return false;
  if (entry.expires !== expires) entry.expires = expires;
  to.address = entry.address;
  to.port = entry.port;
  return true;
}

/** What the destination of an answer, or of an ICMP error about the flow, becomes. 0, or 167 where it is about nothing that is translated. */
export function mapBack(packet: Packet, to: Translation, now: u32): u32 {
  // An error is for the sender of what it is about.
  if (packet.related !== 0 && !sameAddress(packet.destination, packet.innerSource)) return DROP.NO_NAT_MAPPING;
  const key = NatKey.zero();
  fill(key, packet, BACK);
  const entry = nat.get(key);
  if (!entry || entry.expires <= now) return DROP.NO_NAT_MAPPING;
  to.address = entry.address;
  to.port = entry.port;
  if (packet.related === 0) touch(entry, packet, ANSWERED, FIN_BACK, now);
  return 0;
}
