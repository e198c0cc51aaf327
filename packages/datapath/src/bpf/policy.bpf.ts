// The verdict of an endpoint's policy, and the connections that it has allowed.
import { ktimeGetNs, u32, u64, u8 } from "@skep/bpf";
import { Connection, ConnectionKey, connections, ipcache, policy, PolicyEntry, type Address } from "./maps.bpf.ts";
import {
  DROP,
  PROTOCOL_TCP,
  STATE_FIRST_REPLY,
  STATE_NEW,
  STATE_REPLY,
  TCP_ACK,
  TCP_FIN,
  TCP_RST,
  TCP_SYN,
  type Packet,
} from "./packet.bpf.ts";

export const DIRECTION_INGRESS = 1;
export const DIRECTION_EGRESS = 2;

export const IDENTITY_WORLD = 2;

const CT_REPLY_SEEN = 1;
const CT_FIN = 2;
const CT_FIN_REPLY = 4;
const CT_RST = 8;
/** The policy that let it be opened is gone: nothing of it passes until a packet of the original direction is allowed again. */
const CT_REVOKED = 16;

const REPLY_NONE = 0;
const REPLY_PASSES = 1;
const REPLY_REVOKED = 2;

// Seconds, Cilium's defaults (pkg/option/config.go).
const LIFETIME_TCP = 8000;
const LIFETIME_SYN = 60;
const LIFETIME_CLOSING = 10;
const LIFETIME_ANY = 60;

/** Identity of an address: the longest prefix of the ipcache, else the world. */
export function identityOf(address: Address): u32 {
  const entry = ipcache.get({ prefixLength: 128, address });
  return entry ? entry.identity : IDENTITY_WORLD;
}

function lifetime(packet: Packet, flags: u32): u32 {
  if (packet.protocol !== PROTOCOL_TCP) return LIFETIME_ANY;
  if ((flags & CT_RST) !== 0 || (flags & (CT_FIN | CT_FIN_REPLY)) === (CT_FIN | CT_FIN_REPLY)) return LIFETIME_CLOSING;
  return (flags & CT_REPLY_SEEN) !== 0 ? LIFETIME_TCP : LIFETIME_SYN;
}

function closing(packet: Packet, fin: u32): u32 {
  let flags: u32 = 0;
  if ((packet.tcpFlags & TCP_FIN) !== 0) flags |= fin;
  if ((packet.tcpFlags & TCP_RST) !== 0) flags |= CT_RST;
  return flags;
}

/** Whether a live entry is there of which this packet is a reply, or which an ICMP error is about. */
function replyOf(packet: Packet, opened: u8, now: u32, length: u32): u32 {
  // Nothing that opens a connection is a reply, whatever once ran between these ports.
  if ((packet.tcpFlags & (TCP_SYN | TCP_ACK)) === TCP_SYN) return REPLY_NONE;
  const key = ConnectionKey.zero();
  if (packet.related !== 0) {
    key.source = { w0: 0, w1: 0, w2: 0xffff, w3: packet.innerSource };
    key.destination = { w0: 0, w1: 0, w2: 0xffff, w3: packet.innerDestination };
    key.sourcePort = packet.innerSourcePort;
    key.destinationPort = packet.innerDestinationPort;
    key.protocol = packet.innerProtocol;
  } else {
    key.source = packet.destination;
    key.destination = packet.source;
    key.sourcePort = packet.destinationPort;
    key.destinationPort = packet.sourcePort;
    key.protocol = packet.protocol;
  }
  key.direction = opened;
  const connection = connections.get(key);
  if (!connection || connection.expires <= now) return REPLY_NONE;
  // Without the entry it would look like a connection of its own, which another rule might allow.
  if ((connection.flags & CT_REVOKED) !== 0) return REPLY_REVOKED;
  packet.state |= STATE_REPLY;
  if (packet.related !== 0) return REPLY_PASSES;
  if ((connection.flags & CT_REPLY_SEEN) === 0) packet.state |= STATE_FIRST_REPLY;
  const flags = connection.flags | CT_REPLY_SEEN | closing(packet, CT_FIN_REPLY);
  connection.flags = flags;
  connection.expires = now + lifetime(packet, flags);
  connection.replyPackets += 1n;
  connection.replyBytes += u64(length);
  return REPLY_PASSES;
}

function track(packet: Packet, endpoint: u32, direction: u8, now: u32, length: u32): u32 {
  const key = ConnectionKey.zero();
  key.source = packet.source;
  key.destination = packet.destination;
  key.sourcePort = packet.sourcePort;
  key.destinationPort = packet.destinationPort;
  key.protocol = packet.protocol;
  key.direction = direction === DIRECTION_INGRESS ? 1 : 0;
  const connection = connections.get(key);
  const opens = (packet.tcpFlags & (TCP_SYN | TCP_ACK)) === TCP_SYN;
  if (
    connection &&
    connection.expires > now &&
    !(opens && (connection.flags & (CT_FIN | CT_FIN_REPLY | CT_RST)) !== 0)
  ) {
    const flags = (connection.flags & ~CT_REVOKED) | closing(packet, CT_FIN);
    connection.flags = flags;
    connection.expires = now + lifetime(packet, flags);
    connection.packets += 1n;
    connection.bytes += u64(length);
    return 0;
  }
  const fresh = Connection.zero();
  fresh.flags = closing(packet, CT_FIN);
  fresh.expires = now + lifetime(packet, fresh.flags);
  fresh.identity = direction === DIRECTION_INGRESS ? packet.sourceIdentity : packet.destinationIdentity;
  fresh.endpoint = endpoint;
  fresh.packets = 1n;
  fresh.bytes = u64(length);
  packet.state |= STATE_NEW;
  return connections.set(key, fresh) < 0n ? DROP.CT_INSERT_FAILED : 0;
}

/** The entry with the higher precedence of those for the identity and for any; on a tie the longer prefix. */
function verdict(packet: Packet, endpoint: u32, direction: u8, identity: u32): u32 {
  const entries = policy.get(endpoint);
  if (!entries) return DROP.ENDPOINT_NOT_READY;
  const exact = entries.get({
    prefixLength: 64,
    direction,
    identity0: u8(identity >>> 24),
    identity1: u8(identity >>> 16),
    identity2: u8(identity >>> 8),
    identity3: u8(identity),
    protocol: packet.protocol,
    port: packet.policyPort,
  });
  const any = entries.get({
    prefixLength: 64,
    direction,
    identity0: 0,
    identity1: 0,
    identity2: 0,
    identity3: 0,
    protocol: packet.protocol,
    port: packet.policyPort,
  });
  let chosen = exact;
  if (any) {
    if (!chosen) chosen = any;
    else if (any.precedence > chosen.precedence) chosen = any;
    else if (any.precedence === chosen.precedence && any.prefixLength > chosen.prefixLength) chosen = any;
  }
  if (!chosen) {
    packet.cookie = 0;
    return DROP.POLICY_DENIED;
  }
  packet.cookie = chosen.cookie;
  if ((chosen.flags & 1) !== 0) return DROP.POLICY_DENY;
  // Nothing serves a redirect yet: what needs a proxy is denied.
  return chosen.proxyPort !== 0 ? DROP.PROXY_UNKNOWN_PROTOCOL : 0;
}

/**
 * Judges a packet for one endpoint: a reply passes by its entry; every packet of the original direction is asked of the policy and
 * then tracked. 0 or a drop code.
 */
export function admit(packet: Packet, endpoint: u32, direction: u8, length: u32): u32 {
  const now = u32(ktimeGetNs() / 1_000_000_000n);
  // Towards the endpoint a reply belongs to what the endpoint opened, and the other way round.
  const reply = replyOf(packet, direction === DIRECTION_INGRESS ? 0 : 1, now, length);
  if (reply === REPLY_PASSES) return 0;
  if (reply === REPLY_REVOKED) {
    packet.cookie = 0;
    return DROP.POLICY_DENIED;
  }
  const identity = direction === DIRECTION_INGRESS ? packet.sourceIdentity : packet.destinationIdentity;
  const denied = verdict(packet, endpoint, direction, identity);
  if (denied !== 0) return denied;
  return track(packet, endpoint, direction, now, length);
}
