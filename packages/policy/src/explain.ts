import { builtinNames } from "./builtin.ts";
import { consider, type Consideration, type ConsideredPacket } from "./consider.ts";
import type { PolicyEngine, PolicySubject } from "./engine.ts";
import { Peer, type NamedPort, type PolicyIdentity } from "./identity.ts";
import { lookupEntry } from "./lookup.ts";
import type { PolicyMapEntry } from "./map-state.ts";
import type { Direction, RuleOrigin } from "./rule.ts";
import { formatOrigin, formatPort } from "./text.ts";

/** Why a side says what it says. `proxy`: an L7 rule matches that no proxy serves. `audit`: the rules would deny. */
export type Reason =
  "not-enforced" | "rule" | "default-allow" | "localhost" | "default-deny" | "proxy" | "authentication" | "audit";

/** The nearest rule that would have allowed, and by what it misses. */
export interface NearMiss {
  readonly rule: RuleOrigin;
  readonly misses: readonly string[];
}

/** What the policy of one end says. */
export interface Explanation {
  readonly direction: Direction;
  readonly verdict: "allowed" | "denied" | "redirected";
  readonly reason: Reason;
  /** The rules that decided. */
  readonly rules: readonly RuleOrigin[];
  readonly entry: PolicyMapEntry | null;
  readonly nearest: NearMiss | null;
}

export interface ConnectionExplanation {
  readonly verdict: "allowed" | "denied" | "redirected";
  /** Null: that end has no policy of its own. */
  readonly egress: Explanation | null;
  readonly ingress: Explanation | null;
}

/** One end of a connection: a local endpoint has a policy, a remote one only an identity. */
export interface ConnectionEnd {
  readonly identity: PolicyIdentity;
  /** The endpoint; null where it is not local. */
  readonly subject: PolicySubject | null;
}

export interface ConnectionQuery {
  readonly source: ConnectionEnd;
  readonly destination: ConnectionEnd;
  /** IANA number. */
  readonly protocol: number;
  /** Destination port; ICMP: the type. */
  readonly port: number;
}

/** Both ends' verdicts on a new connection, with the rules behind them or the nearest that misses. */
export function explain(engine: PolicyEngine, query: ConnectionQuery): ConnectionExplanation {
  const { source, destination, protocol, port } = query;
  const namedPorts = portsOf(destination);
  const side = (direction: Direction, own: ConnectionEnd, other: ConnectionEnd): Explanation | null =>
    own.subject &&
    explainSide(engine, { direction, subject: own.subject, peer: other.identity, protocol, port, namedPorts });
  const egress = side("egress", source, destination);
  const ingress = side("ingress", destination, source);
  const sides = [egress, ingress].map((found) => found?.verdict);
  const verdict = sides.includes("denied") ? "denied" : sides.includes("redirected") ? "redirected" : "allowed";
  return { verdict, egress, ingress };
}

export function portsOf({ identity, subject }: ConnectionEnd): readonly NamedPort[] {
  return subject?.namedPorts ?? identity.namedPorts ?? [];
}

export interface SideQuery {
  readonly direction: Direction;
  readonly subject: PolicySubject;
  readonly peer: PolicyIdentity;
  readonly protocol: number;
  readonly port: number;
  /** Of the destination. */
  readonly namedPorts?: readonly NamedPort[];
}

/** One end's verdict: the entry that the kernel finds, and the rules behind it. */
export function explainSide(engine: PolicyEngine, query: SideQuery): Explanation {
  const { direction, subject, peer, protocol, port } = query;
  const policy = engine.resolve(subject);
  const entry = lookupEntry(policy, { direction, identity: peer.id, protocol, port });
  const rules = entry ? engine.repository.rulesOf(entry.cookie) : [];
  const verdict = !entry || entry.deny ? "denied" : entry.proxyPort > 0 ? "redirected" : "allowed";
  const reason = reasonOf(engine, query, { entry, rules });
  const nearest = verdict === "denied" && reason === "default-deny" ? nearestAllow(engine, query) : null;
  return { direction, verdict, reason, rules, entry, nearest };
}

function reasonOf(
  engine: PolicyEngine,
  { direction, subject, peer, protocol, port }: SideQuery,
  { entry, rules }: { entry: PolicyMapEntry | null; rules: readonly RuleOrigin[] },
): Reason {
  if (!entry) return "default-deny";
  if (entry.audit) return "audit";
  const builtin = rules.every(({ kind }) => kind === "builtin") ? rules[0]?.name : undefined;
  if (builtin === builtinNames.notEnforced) return "not-enforced";
  if (builtin === builtinNames.allowAny) return "default-allow";
  if (builtin === builtinNames.allowHost) return "localhost";
  if (builtin === builtinNames.denyAny) return "default-deny";
  if (!entry.deny) return "rule";
  const winners = engine.subject(subject)[direction].evaluate(peer.id, protocol, port)?.winners ?? [];
  if (winners.some(({ rule }) => rule.verdict === "deny")) return "rule";
  return winners.some(({ need }) => need !== null) ? "proxy" : "authentication";
}

/** Of the allowing rules that select the subject, the one with the least in the way. */
export function nearestAllow(engine: PolicyEngine, query: SideQuery): NearMiss | null {
  const packet = packetOf(query);
  let best: Consideration | null = null;
  for (const rule of engine.subject(query.subject)[query.direction].rules) {
    if (rule.verdict !== "allow" || rule.origin.kind === "builtin") continue;
    const found = consider(rule, packet, engine.cache);
    if (!best || distance(found) < distance(best)) best = found;
  }
  return best && { rule: best.rule.origin, misses: best.misses.map(({ text }) => text) };
}

function distance({ misses }: Consideration): number {
  return misses.reduce((sum, miss) => sum + miss.distance, 0);
}

export function packetOf({ subject, peer, protocol, port, namedPorts }: SideQuery): ConsideredPacket {
  return { subject: new Peer(subject.identity), peer: new Peer(peer), protocol, port, namedPorts: namedPorts ?? [] };
}

const reasons: Readonly<Record<Reason, string>> = {
  "not-enforced": "no policy selects it",
  rule: "by a rule",
  "default-allow": "no rule matches, and no policy that selects it denies by default",
  localhost: "the host always reaches its workloads",
  "default-deny": "no rule allows it",
  proxy: "the rule needs a proxy, and none serves it",
  authentication: "the rule needs an authentication, which nobody performs",
  audit: "it would be denied, and is only audited",
};

/** In words, as `by a rule`. */
export function reasonText(reason: Reason): string {
  return reasons[reason];
}

/** `egress denied (no rule allows it)` and, on lines of their own, the rules or the nearest one. */
export function formatExplanation({ direction, verdict, reason, rules, nearest }: Explanation): string {
  const lines = [`${direction} ${verdict} (${reasonText(reason)})`];
  for (const rule of rules) if (rule.kind !== "builtin") lines.push(`  ${formatOrigin(rule)}`);
  if (nearest) {
    lines.push(`  nearest: ${formatOrigin(nearest.rule)}`);
    for (const miss of nearest.misses) lines.push(`    but ${miss}`);
  }
  return lines.join("\n");
}

export function formatConnection(query: ConnectionQuery, explanation: ConnectionExplanation): string {
  const { source, destination, protocol, port } = query;
  const head = `${source.identity.id} -> ${destination.identity.id} ${formatPort(protocol, port)}: ${explanation.verdict}`;
  const sides = [explanation.egress, explanation.ingress].flatMap((side) => (side ? [formatExplanation(side)] : []));
  return [head, ...sides].join("\n");
}
