/**
 * @module
 * What a set of rules means, written without tries, precedences or caches: the reference for the tests.
 */
import { formatPrefix, prefixCovers } from "@skep/net";
import type { PolicyIdentity, NamedPort, PeerSelector, PortMatch, PortRule, Requirement, Rule } from "../src/index.ts";

export interface NaivePacket {
  readonly direction: "ingress" | "egress";
  readonly subject: PolicyIdentity;
  readonly peer: PolicyIdentity;
  readonly protocol: number;
  readonly port: number;
  readonly namedPorts: readonly NamedPort[];
}

export interface NaiveOptions {
  readonly allowLocalhost: boolean;
  readonly enforcement: "default" | "always" | "never";
  readonly served: boolean;
}

export type NaiveVerdict = "allow" | "deny" | "proxy";

const order = ["Admin", "Normal", "Baseline"];

export function naiveVerdict(rules: readonly Rule[], packet: NaivePacket, options: NaiveOptions): NaiveVerdict {
  if (options.enforcement === "never") return "allow";
  const isHost = "reserved:host" in packet.subject.labels;
  const own = rules.filter(
    (rule) =>
      rule.direction === packet.direction &&
      rule.node === isHost &&
      rule.subject.requirements.every((requirement) => holds(requirement, packet.subject)),
  );
  if (own.length === 0 && options.enforcement === "default") return "allow";
  const deniesByDefault = options.enforcement === "always" || own.some((rule) => rule.defaultDeny);
  const matching = own.filter((rule) => matches(rule, packet));
  const fromHost = "reserved:host" in packet.peer.labels;
  const last = packet.direction === "ingress" && options.allowLocalhost && fromHost && !isHost ? "allow" : "deny";
  let passed = false;
  for (const tier of order) {
    // A policy that isolates has the last word of the tier of policies.
    if (tier === "Baseline" && !passed && own.some((rule) => rule.defaultDeny && rule.tier === "Normal")) return last;
    const here = matching.filter((rule) => rule.tier === tier);
    passed = false;
    if (here.length === 0) continue;
    const first = Math.min(...here.map((rule) => rule.priority));
    const verdict = levelVerdict(
      here.filter((rule) => rule.priority === first),
      { packet, served: options.served, open: !deniesByDefault },
    );
    if (verdict !== "pass") return verdict;
    passed = true;
  }
  return deniesByDefault ? last : "allow";
}

/** Rules of one level that match. */
function levelVerdict(
  rules: readonly Rule[],
  { packet, served, open }: { packet: NaivePacket; served: boolean; open: boolean },
): NaiveVerdict | "pass" {
  if (rules.some((rule) => rule.verdict === "deny")) return "deny";
  const allows = rules.filter((rule) => rule.verdict === "allow");
  if (allows.length === 0) return "pass";
  if (allows.some((rule) => rule.authentication !== null && rule.authentication.mode !== "disabled")) return "deny";
  const ports = allows.map((rule) => rule.ports?.filter((port) => portMatches(port, packet)) ?? null);
  const isPlain = ports.some((found) => found === null || found.some((port) => !needsProxy(port)));
  const isProxied = ports.some((found) => found !== null && found.some(needsProxy));
  if (!isProxied) return "allow";
  if (served) return "proxy";
  return isPlain || open ? "allow" : "deny";
}

function needsProxy(port: PortRule): boolean {
  return port.l7 !== null || port.listener !== null || port.serverNames.length > 0;
}

function matches(rule: Rule, packet: NaivePacket): boolean {
  const { peers, ports } = rule;
  if (peers === null) return false;
  if (peers.length === 0 && ports === null) return false;
  if (peers.length > 0 && !peers.some((peer) => selects(peer, packet.peer))) return false;
  return ports === null || ports.some((port) => portMatches(port, packet));
}

function portMatches(port: PortRule, packet: NaivePacket): boolean {
  return port.ports.some((match) => matchHolds(match, packet));
}

function matchHolds({ protocol, port, last }: PortMatch, packet: NaivePacket): boolean {
  if (protocol === 0) return true;
  if (protocol !== packet.protocol) return false;
  if (typeof port === "number") return packet.port >= port && packet.port <= last;
  const named = packet.namedPorts.find((known) => known.name === port && known.protocol === protocol);
  return named?.port === packet.port;
}

function selects(peer: PeerSelector, identity: PolicyIdentity): boolean {
  if (peer.kind === "labels") return peer.selector.requirements.every((requirement) => holds(requirement, identity));
  if (peer.kind !== "cidr") throw new Error(`the reference does not know ${peer.kind}`);
  const isWorld = Object.keys(identity.labels).some((label) => label.startsWith("reserved:world"));
  if (!isWorld) return false;
  if (peer.prefix.length === 0) {
    if (!identity.cidr) return true;
    return identity.cidr.address.family === peer.prefix.address.family && !isExcepted(peer, identity);
  }
  return identity.cidr !== undefined && prefixCovers(peer.prefix, identity.cidr) && !isExcepted(peer, identity);
}

function isExcepted(peer: Extract<PeerSelector, { kind: "cidr" }>, { cidr }: PolicyIdentity): boolean {
  return cidr !== undefined && peer.except.some((prefix) => prefixCovers(prefix, cidr));
}

function holds({ key, operator, values }: Requirement, identity: PolicyIdentity): boolean {
  const found = Object.entries(identity.labels)
    .filter(([name]) => (key.source === "any" ? name.endsWith(`:${key.key}`) : name === `${key.source}:${key.key}`))
    .map(([, value]) => value)[0];
  if (operator === "In") return found !== undefined && values.includes(found);
  if (operator === "NotIn") return found === undefined || !values.includes(found);
  return (found !== undefined) === (operator === "Exists");
}

export function describeIdentity({ id, labels, cidr }: PolicyIdentity): string {
  return `${id} ${JSON.stringify(labels)}${cidr ? ` ${formatPrefix(cidr)}` : ""}`;
}
