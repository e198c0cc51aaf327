/**
 * @module
 * One rule and one packet: whether they match, and what is in the way. What people are shown; the verdict itself comes from the entries.
 */
import { formatPrefix } from "@skep/net";
import { namedPort } from "./filters.ts";
import type { NamedPort, Peer } from "./identity.ts";
import type { PortMatch, PortRule, Rule, PeerSelector } from "./rule.ts";
import { meets } from "./selector.ts";
import type { SelectorCache } from "./selector-cache.ts";
import { describeUnmet, formatPeer, formatPort, formatPorts, protocolName } from "./text.ts";

export interface Miss {
  readonly what: "subject" | "peer" | "protocol" | "port" | "l7";
  /** `the peer has org=alliance, not empire`. */
  readonly text: string;
  /** How far off: labels that differ, or 1. */
  readonly distance: number;
}

export interface Consideration {
  readonly rule: Rule;
  /** Empty: it matches. */
  readonly misses: readonly Miss[];
  /** Rules of ports that match: where their L7 rules stand. */
  readonly ports: readonly PortRule[];
}

export interface ConsideredPacket {
  readonly subject: Peer;
  readonly peer: Peer;
  readonly protocol: number;
  readonly port: number;
  /** Of the destination. */
  readonly namedPorts: readonly NamedPort[];
}

export function consider(rule: Rule, packet: ConsideredPacket, cache: SelectorCache): Consideration {
  const misses: Miss[] = [];
  const unmet = rule.subject.requirements.filter((requirement) => !meets(requirement, packet.subject.labels));
  const isHost = packet.subject.labels.has("reserved:host");
  if (rule.node !== isHost)
    misses.push({
      what: "subject",
      text: rule.node ? "the rule is about hosts" : "the rule is about workloads",
      distance: 9,
    });
  else if (unmet.length > 0) {
    const text = unmet.map((requirement) => describeUnmet(requirement, packet.subject.labels)).join(", and ");
    misses.push({ what: "subject", text: `the subject ${text}`, distance: unmet.length });
  }
  const peerMiss = missedPeer(rule, packet, cache);
  if (peerMiss) misses.push(peerMiss);
  const ports = rule.ports?.filter((port) => port.ports.some((match) => holdsPort(match, packet))) ?? [];
  if (rule.ports !== null && ports.length === 0) misses.push(missedPort(rule, packet));
  return { rule, misses, ports };
}

function missedPeer({ peers, ports }: Rule, { peer }: ConsideredPacket, cache: SelectorCache): Miss | null {
  if (peers === null || (peers.length === 0 && ports === null))
    return { what: "peer", text: "the rule names no peers", distance: 9 };
  if (peers.length === 0 || peers.some((selector) => selectsPeer(selector, peer, cache))) return null;
  let best: Miss | null = null;
  for (const selector of peers) {
    const miss = missOf(selector, peer);
    if (!best || miss.distance < best.distance) best = miss;
  }
  return best;
}

function selectsPeer(selector: PeerSelector, peer: Peer, cache: SelectorCache): boolean {
  return cache.matches(selector, peer);
}

function missOf(selector: PeerSelector, peer: Peer): Miss {
  if (selector.kind !== "labels" || selector.entity !== undefined) {
    const address = peer.cidr ? ` (${formatPrefix(peer.cidr)})` : "";
    return { what: "peer", text: `the peer${address} is not ${formatPeer(selector)}`, distance: 2 };
  }
  const unmet = selector.selector.requirements.filter((requirement) => !meets(requirement, peer.labels));
  const text = unmet.map((requirement) => describeUnmet(requirement, peer.labels)).join(", and ");
  return { what: "peer", text: `the peer ${text}`, distance: unmet.length };
}

/** The port of a match for this destination; null where it has no port of the name. */
function holdsPort({ protocol, port, last }: PortMatch, packet: ConsideredPacket): boolean {
  if (protocol === 0) return true;
  if (protocol !== packet.protocol) return false;
  if (typeof port === "number") return packet.port >= port && packet.port <= last;
  return namedPort(packet.namedPorts, port, protocol) === packet.port;
}

function missedPort({ ports }: Rule, packet: ConsideredPacket): Miss {
  const matches = (ports ?? []).flatMap((port) => port.ports);
  const sameProtocol = matches.some(({ protocol }) => protocol === packet.protocol || protocol === 0);
  const wanted = formatPorts(ports);
  if (!sameProtocol && matches.some((match) => holdsPort({ ...match, protocol: packet.protocol }, packet)))
    return {
      what: "protocol",
      text: `the protocol is ${protocolName(packet.protocol)}, not that of ${wanted}`,
      distance: 1,
    };
  return { what: "port", text: `${formatPort(packet.protocol, packet.port)} is not among ${wanted}`, distance: 1 };
}
