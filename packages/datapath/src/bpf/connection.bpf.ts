// One entry for each connection, found from both of its ends; what its ends' policies said of it is kept with it.
import { u16, u32, u64, u8 } from "@skep/bpf";
import { PROTOCOL } from "@skep/bpf/net";
import {
  CT_DIRECT,
  CT_FIN,
  CT_FIN_REPLY,
  CT_LOOPBACK,
  CT_OPENED_BY_SECOND,
  CT_REPLY_SEEN,
  CT_RST,
  CT_SERVICE,
  insert,
} from "./connection-map.bpf.ts";
import {
  lifetimeAny,
  lifetimeFin,
  lifetimeServiceAny,
  lifetimeServiceGrace,
  lifetimeServiceTcp,
  lifetimeSyn,
  lifetimeTcp,
} from "./lifetimes.bpf.ts";
import { aggregation, AGGREGATION_MEDIUM, monitorFlags, monitorInterval } from "./events.bpf.ts";
import { ConnectionKey, connections, freshConnection, type Connection } from "./maps.bpf.ts";
import {
  DROP,
  sameAddress,
  STATE_FIRST_REPLY,
  STATE_NEW,
  STATE_REPLY,
  STATE_TOLD,
  TCP_ACK,
  TCP_FIN,
  TCP_RST,
  TCP_SYN,
  type Packet,
} from "./packet.bpf.ts";
import type { Address } from "./maps.bpf.ts";

const ICMP_ECHO = 8;
const ICMPV6_ECHO = 128;

/** The two ends have one order, whoever sends. */
function isSwapped(a: Address, b: Address, aPort: number, bPort: number): boolean {
  if (a.w3 !== b.w3) return a.w3 > b.w3;
  if (a.w2 !== b.w2) return a.w2 > b.w2;
  if (a.w1 !== b.w1) return a.w1 > b.w1;
  if (a.w0 !== b.w0) return a.w0 > b.w0;
  return aPort > bPort;
}

/** The ends of a connection, as a packet has them. */
export interface Ends {
  source: Address;
  destination: Address;
  sourcePort: u16;
  destinationPort: u16;
}

/** Puts the ends into the key; whether the source is the second of them. */
export function order(key: ConnectionKey, ends: Ends): boolean {
  const swapped = isSwapped(ends.source, ends.destination, ends.sourcePort, ends.destinationPort);
  if (swapped) {
    key.first = ends.destination;
    key.second = ends.source;
    key.firstPort = ends.destinationPort;
    key.secondPort = ends.sourcePort;
  } else {
    key.first = ends.source;
    key.second = ends.destination;
    key.firstPort = ends.sourcePort;
    key.secondPort = ends.destinationPort;
  }
  return swapped;
}

/** Fills the key; whether the source is the second of its ends. */
function fill(key: ConnectionKey, packet: Packet, isInner: boolean): boolean {
  if (isInner) {
    key.protocol = packet.innerProtocol;
    const { innerSource: source, innerDestination: destination } = packet;
    return order(key, {
      ...{ source, destination },
      ...{ sourcePort: packet.innerSourcePort, destinationPort: packet.innerDestinationPort },
    });
  }
  key.protocol = packet.protocol;
  const { source, destination, sourcePort, destinationPort } = packet;
  return order(key, { source, destination, sourcePort, destinationPort });
}

/** An ICMP error concerns the sender of what it quotes; from a workload it must come from the other end. */
function isAboutIts(packet: Packet): boolean {
  if (!sameAddress(packet.destination, packet.innerSource)) return false;
  return packet.sourceEndpoint === 0 || sameAddress(packet.source, packet.innerDestination);
}

/** The port that policy was asked for when the connection was opened. */
function openedTo(packet: Packet, isReply: boolean): u16 {
  const protocol = packet.related !== 0 ? packet.innerProtocol : packet.protocol;
  if (protocol === PROTOCOL.ICMP) return ICMP_ECHO;
  if (protocol === PROTOCOL.ICMPV6) return ICMPV6_ECHO;
  if (packet.related !== 0) return isReply ? packet.innerDestinationPort : packet.innerSourcePort;
  return isReply ? packet.sourcePort : packet.destinationPort;
}

/** As `findAny`, and none of those to services. */
export function find(packet: Packet, now: u32): Connection | null {
  const connection = findAny(packet, now);
  return connection && (connection.flags & CT_SERVICE) === 0 ? connection : null;
}

/**
 * The live connection that the packet belongs to, or that an ICMP error is about. Sets what the packet is in it, and what policy is to be
 * asked. Null: the packet stands for itself.
 */
export function findAny(packet: Packet, now: u32): Connection | null {
  packet.askedPort = packet.policyPort;
  packet.askedProtocol = packet.protocol;
  const isRelated = packet.related !== 0 && isAboutIts(packet);
  const key = ConnectionKey.zero();
  const sourceIsSecond = fill(key, packet, isRelated);
  const connection = connections.get(key);
  if (!connection || connection.expires <= now) return null;
  const openedBySecond = (connection.flags & CT_OPENED_BY_SECOND) !== 0;
  // An error goes against the direction of the packet that it is about.
  const isReply = isRelated ? sourceIsSecond === openedBySecond : sourceIsSecond !== openedBySecond;
  if (!isRelated && packet.protocol === PROTOCOL.TCP && (packet.tcpFlags & (TCP_SYN | TCP_ACK)) === TCP_SYN) {
    // Nothing that opens a connection is a reply, and one that ends is opened anew.
    if (isReply || (connection.flags & (CT_FIN | CT_FIN_REPLY | CT_RST)) !== 0) return null;
  }
  if (packet.related !== 0 && !isRelated) return null;
  if (isReply) {
    packet.state |= STATE_REPLY;
    if (!isRelated && (connection.flags & CT_REPLY_SEEN) === 0) packet.state |= STATE_FIRST_REPLY;
  }
  if (isReply || isRelated) {
    packet.askedPort = openedTo(packet, isReply);
    if (isRelated) packet.askedProtocol = packet.innerProtocol;
  }
  return connection;
}

function lifetime(packet: Packet, flags: u32): u32 {
  if (packet.protocol !== PROTOCOL.TCP) return lifetimeAny.value;
  if ((flags & CT_RST) !== 0 || (flags & (CT_FIN | CT_FIN_REPLY)) === (CT_FIN | CT_FIN_REPLY)) return lifetimeFin.value;
  return (flags & CT_REPLY_SEEN) !== 0 ? lifetimeTcp.value : lifetimeSyn.value;
}

function closing(packet: Packet, fin: u32): u32 {
  let flags: u32 = 0;
  if (packet.protocol !== PROTOCOL.TCP) return flags;
  if ((packet.tcpFlags & TCP_FIN) !== 0) flags |= fin;
  if ((packet.tcpFlags & TCP_RST) !== 0) flags |= CT_RST;
  return flags;
}

/** Whether one direction of a connection is to be told of again. */
function isDue(packet: Packet, seen: u8, toldAt: u8, now: u32): boolean {
  if (packet.protocol === PROTOCOL.TCP && (packet.tcpFlags & monitorFlags.value & ~seen) !== 0) return true;
  return ((now - toldAt) & 0xff) >= monitorInterval.value;
}

/** Counts the packet and keeps its connection alive. */
export function touch(packet: Packet, connection: Connection, now: u32, length: u32): void {
  // What speaks about a connection is not part of it.
  if (packet.related !== 0) return;
  if ((packet.state & STATE_REPLY) !== 0) {
    const flags = connection.flags | CT_REPLY_SEEN | closing(packet, CT_FIN_REPLY);
    connection.flags = flags;
    if (
      aggregation.value === AGGREGATION_MEDIUM &&
      isDue(packet, connection.replyTcpFlags, connection.replyToldAt, now)
    ) {
      connection.replyToldAt = u8(now);
      packet.state |= STATE_TOLD;
    }
    connection.replyTcpFlags |= packet.tcpFlags;
    connection.expires = now + lifetime(packet, flags);
    connection.replyPackets += 1n;
    connection.replyBytes += u64(length);
    return;
  }
  // Opened at the host's interface, and not seen by its end before.
  if (connection.packets === 0n) packet.state |= STATE_NEW;
  const flags = connection.flags | closing(packet, CT_FIN);
  connection.flags = flags;
  if (aggregation.value === AGGREGATION_MEDIUM && isDue(packet, connection.tcpFlags, connection.toldAt, now)) {
    connection.toldAt = u8(now);
    packet.state |= STATE_TOLD;
  }
  connection.tcpFlags |= packet.tcpFlags;
  connection.expires = now + lifetime(packet, flags);
  connection.packets += 1n;
  connection.bytes += u64(length);
}

/** The policies that have allowed it: generations of the endpoints' policies, 0 where none was asked. */
export interface Allowed {
  egress: u32;
  ingress: u32;
}

/** An entry of zeros: to be filled in and copied into the map at once. */
function blank(): Connection | null {
  const fresh = freshConnection.get(0);
  if (!fresh) return null;
  fresh.egressGeneration = 0;
  fresh.ingressGeneration = 0;
  fresh.egressIdentity = 0;
  fresh.ingressIdentity = 0;
  fresh.tcpFlags = 0;
  fresh.replyTcpFlags = 0;
  fresh.toldAt = 0;
  fresh.replyToldAt = 0;
  fresh.packets = 0n;
  fresh.bytes = 0n;
  fresh.replyPackets = 0n;
  fresh.replyBytes = 0n;
  return fresh;
}

/**
 * Makes the entry of the connection that this packet opens; `services`: generation of the services that were asked; `length` 0: the
 * packet is counted later. 0 or a drop code.
 */
export function open(packet: Packet, allowed: Allowed, services: u32, now: u32, length: u32): u32 {
  const key = ConnectionKey.zero();
  const sourceIsSecond = fill(key, packet, false);
  const fresh = blank();
  if (!fresh) return DROP.CT_INSERT_FAILED;
  fresh.flags = closing(packet, CT_FIN) | (sourceIsSecond ? CT_OPENED_BY_SECOND : 0);
  fresh.expires = now + lifetime(packet, fresh.flags);
  fresh.egressGeneration = allowed.egress;
  fresh.ingressGeneration = allowed.ingress;
  fresh.egressIdentity = packet.destinationIdentity;
  fresh.ingressIdentity = packet.sourceIdentity;
  fresh.service = packet.service;
  fresh.backend = packet.backend;
  fresh.generation = services;
  if (packet.loopback !== 0) fresh.flags |= CT_LOOPBACK;
  fresh.tcpFlags = packet.tcpFlags;
  fresh.toldAt = u8(now);
  fresh.replyToldAt = u8(now);
  if (packet.direct !== 0 && packet.service === 0) fresh.flags |= CT_DIRECT;
  fresh.packets = length === 0 ? 0n : 1n;
  fresh.bytes = u64(length);
  packet.state |= STATE_NEW;
  return insert(key, fresh, now);
}

function serviceLifetime(packet: Packet, flags: u32): u32 {
  if (packet.protocol !== PROTOCOL.TCP) return lifetimeServiceAny.value;
  if ((flags & CT_RST) !== 0) return lifetimeFin.value;
  if ((flags & CT_FIN) !== 0) return lifetimeServiceGrace.value;
  return (packet.tcpFlags & TCP_SYN) !== 0 ? lifetimeSyn.value : lifetimeServiceTcp.value;
}

/** The client's packets go on to `packet.backend`; `generation` is the backend's. 0 or a drop code. */
export function openService(packet: Packet, generation: u32, now: u32): u32 {
  const key = ConnectionKey.zero();
  const sourceIsSecond = fill(key, packet, false);
  const fresh = blank();
  if (!fresh) return DROP.CT_INSERT_FAILED;
  fresh.flags = CT_SERVICE | closing(packet, CT_FIN) | (sourceIsSecond ? CT_OPENED_BY_SECOND : 0);
  if (packet.direct !== 0) fresh.flags |= CT_DIRECT;
  fresh.expires = now + serviceLifetime(packet, fresh.flags);
  fresh.service = packet.service;
  fresh.backend = packet.backend;
  fresh.generation = generation;
  return insert(key, fresh, now);
}

export function touchService(packet: Packet, connection: Connection, now: u32): void {
  const flags = connection.flags | closing(packet, CT_FIN);
  if (connection.flags !== flags) connection.flags = flags;
  const expires = now + serviceLifetime(packet, flags);
  if (connection.expires !== expires) connection.expires = expires;
}
