// The verdict of an endpoint's policy.
import { u16, u32, u8, type BpfMap, type Of, type TcContext } from "@skep/bpf";
import { EVENT_VERDICT, report, VERDICT_ALLOWED, VERDICT_AUDIT, VERDICT_DENIED, verdictEvents } from "./events.bpf.ts";
import {
  ipcache,
  policy,
  type PolicyEntry as Entry,
  type PolicyKey,
  type Address,
  type Connection,
} from "./maps.bpf.ts";
import { DROP, STATE_REPLY, type Packet } from "./packet.bpf.ts";

export const DIRECTION_INGRESS = 1;
export const DIRECTION_EGRESS = 2;

export const IDENTITY_HOST = 1;
export const IDENTITY_WORLD = 2;
export const IDENTITY_UNMANAGED = 3;
export const IDENTITY_REMOTE_NODE = 6;

type PolicyEntry = Of<typeof Entry>;
type PolicyEntries = BpfMap<Of<typeof PolicyKey>, PolicyEntry>;

const ENTRY_DENY = 1;
const ENTRY_AUDIT = 2;

const WORLD_IPV4 = 9;
const WORLD_IPV6 = 10;
/** Identities of prefixes are numbered from here (pkg/identity/numericidentity.go: IdentityScopeLocal). */
const PREFIXES = 1 << 24;

/** Nobody of the cluster. */
export function isWorld(identity: u32): boolean {
  return (
    identity === IDENTITY_WORLD ||
    identity === WORLD_IPV4 ||
    identity === WORLD_IPV6 ||
    identity >>> 24 === PREFIXES >>> 24
  );
}

/** Identity of an address: the longest prefix of the ipcache, else the world. */
export function identityOf(address: Address): u32 {
  const entry = ipcache.get({ prefixLength: 128, address });
  return entry ? entry.identity : IDENTITY_WORLD;
}

/** What is asked of an endpoint's policy. */
export interface Question {
  endpoint: u32;
  /** Of the endpoint's policy: what it once allowed is not asked again. */
  generation: u32;
  /** In which the packet goes past the endpoint. */
  direction: u8;
  /** Of the other end. */
  peer: u32;
}

/** What an endpoint's entries are looked through for. */
export interface Asked {
  direction: u8;
  protocol: u8;
  port: u16;
}

/** The longest entry for the identity, 0: for any. */
export function entryFor(
  entries: PolicyEntries,
  identity: u32,
  { direction, protocol, port }: Asked,
): PolicyEntry | null {
  return entries.get({
    ...{ prefixLength: 64, direction, protocol, port },
    ...{ identity0: u8(identity >>> 24), identity1: u8(identity >>> 16) },
    ...{ identity2: u8(identity >>> 8), identity3: u8(identity) },
  });
}

/** The entry with the higher precedence of those for the identity and for any; on a tie the longer prefix. 0, 1 for audited, or a drop code. */
function verdict(packet: Packet, endpoint: u32, asked: u8, identity: u32): u32 {
  const entries = policy.get(endpoint);
  if (!entries) return DROP.ENDPOINT_NOT_READY;
  const question: Asked = { direction: asked, protocol: packet.askedProtocol, port: packet.askedPort };
  const exact = entryFor(entries, identity, question);
  const any = entryFor(entries, 0, question);
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
  if ((chosen.flags & ENTRY_DENY) !== 0) return DROP.POLICY_DENY;
  // Nothing serves a redirect yet: what needs a proxy is denied.
  if (chosen.proxyPort !== 0) return DROP.PROXY_UNKNOWN_PROTOCOL;
  return (chosen.flags & ENTRY_AUDIT) !== 0 ? AUDITED : 0;
}

/** Below every drop code. */
const AUDITED = 1;

/**
 * Whether the endpoint's policy allows the packet: the packet itself, or for a reply the one that opened its connection. What the same policy has
 * allowed once is not looked up again. 0 or a drop code.
 */
export function admit(ctx: TcContext, packet: Packet, connection: Connection | null, question: Question): u32 {
  const isReply = (packet.state & STATE_REPLY) !== 0;
  const asked: u8 = isReply ? u8(3 - question.direction) : question.direction;
  let identity = question.peer;
  const isUnnamed = isReply && identity === IDENTITY_UNMANAGED;
  if (connection) {
    if (asked === DIRECTION_EGRESS) {
      // An ICMP error may come from a router, and a tunnel brings identities of addresses that nobody has named: the connection knows its peer.
      if (packet.related !== 0 || isUnnamed) identity = connection.egressIdentity;
      if (connection.egressGeneration === question.generation && connection.egressIdentity === identity) return 0;
    } else {
      if (packet.related !== 0 || isUnnamed) identity = connection.ingressIdentity;
      if (connection.ingressGeneration === question.generation && connection.ingressIdentity === identity) return 0;
    }
  }
  const found = verdict(packet, question.endpoint, asked, identity);
  if (found === AUDITED || verdictEvents.value !== 0) {
    report(ctx, packet, {
      type: EVENT_VERDICT,
      reason: found === AUDITED ? VERDICT_AUDIT : found === 0 ? VERDICT_ALLOWED : VERDICT_DENIED,
      direction: question.direction,
      endpoint: question.endpoint,
      flags: 0,
    });
  }
  if (found > AUDITED) return found;
  if (connection) {
    if (asked === DIRECTION_EGRESS) {
      connection.egressGeneration = question.generation;
      connection.egressIdentity = identity;
    } else {
      connection.ingressGeneration = question.generation;
      connection.ingressIdentity = identity;
    }
  }
  return 0;
}
