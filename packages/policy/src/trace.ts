import { consider, type Miss } from "./consider.ts";
import type { PolicyEngine } from "./engine.ts";
import { explain, packetOf, portsOf, type ConnectionQuery, type Explanation, type SideQuery } from "./explain.ts";
import { formatExplanation } from "./explain.ts";
import { allowsRequest, formatRequest, type L7Request } from "./l7-match.ts";
import type { Direction, Rule, RuleOrigin } from "./rule.ts";
import { formatOrigin, formatPeer, formatPort, formatPorts } from "./text.ts";

export interface TraceQuery extends ConnectionQuery {
  readonly request?: L7Request;
  /** Also rules whose subject is somebody else. Default false. */
  readonly all?: boolean;
}

export interface TracedRule {
  readonly rule: RuleOrigin;
  readonly verdict: Rule["verdict"];
  readonly tier: Rule["tier"];
  readonly priority: number;
  /** `from app=web on 80/TCP`. */
  readonly summary: string;
  /** Empty: it matches. */
  readonly misses: readonly string[];
}

/** What an L7 rule says of the request that was asked about. */
export interface L7Verdict {
  readonly verdict: "allowed" | "denied";
  readonly rules: readonly RuleOrigin[];
}

export interface TracedSide {
  readonly explanation: Explanation;
  /** In the order in which they are asked. */
  readonly considered: readonly TracedRule[];
  /** Where the traffic goes through a proxy and a request was given. */
  readonly request: L7Verdict | null;
}

export interface Trace {
  readonly verdict: "allowed" | "denied" | "redirected";
  readonly egress: TracedSide | null;
  readonly ingress: TracedSide | null;
}

/** Every rule that is asked, what it says, and what comes of it. */
export function trace(engine: PolicyEngine, query: TraceQuery): Trace {
  const { egress, ingress } = explain(engine, query);
  const sides = {
    egress: egress && traceSide(engine, egress, { query, direction: "egress" }),
    ingress: ingress && traceSide(engine, ingress, { query, direction: "ingress" }),
  };
  const verdicts = [sides.egress, sides.ingress].flatMap((side) => (side ? [sideVerdict(side)] : []));
  const verdict = verdicts.includes("denied") ? "denied" : verdicts.includes("redirected") ? "redirected" : "allowed";
  return { verdict, ...sides };
}

/** With a request: what the L7 rules make of it; otherwise the verdict of addresses and ports. */
export function sideVerdict({ explanation, request }: TracedSide): Trace["verdict"] {
  return explanation.verdict === "redirected" && request ? request.verdict : explanation.verdict;
}

function traceSide(
  engine: PolicyEngine,
  explanation: Explanation,
  { query, direction }: { query: TraceQuery; direction: Direction },
): TracedSide | null {
  const { source, destination, protocol, port } = query;
  const [own, other] = direction === "egress" ? [source, destination] : [destination, source];
  if (!own.subject) return null;
  const namedPorts = portsOf(destination);
  const side: SideQuery = { direction, subject: own.subject, peer: other.identity, protocol, port, namedPorts };
  const selecting = engine.subject(own.subject)[direction].rules;
  const all = query.all ? engine.repository.rules.filter((rule) => rule.direction === direction) : [];
  const rules = [...new Set([...selecting, ...all])].filter(({ origin }) => origin.kind !== "builtin").sort(byTier);
  const packet = packetOf(side);
  const considered = rules.map((rule) => {
    const { misses } = consider(rule, packet, engine.cache);
    return traced(rule, misses);
  });
  const request = explanation.verdict === "redirected" && query.request ? judge(engine, side, query.request) : null;
  return { explanation, considered, request };
}

const tierOrder = ["Admin", "Normal", "Baseline", "Default"];

function byTier(a: Rule, b: Rule): number {
  return tierOrder.indexOf(a.tier) - tierOrder.indexOf(b.tier) || a.priority - b.priority || (a.key < b.key ? -1 : 1);
}

function traced(rule: Rule, misses: readonly Miss[]): TracedRule {
  const { verdict, tier, priority, origin } = rule;
  return { rule: origin, verdict, tier, priority, summary: summarize(rule), misses: misses.map(({ text }) => text) };
}

/** `from app=web or host on 80/TCP`. */
export function summarize({ direction, peers, ports }: Rule): string {
  const side = direction === "ingress" ? "from" : "to";
  const names = [...new Set((peers ?? []).map(formatPeer))];
  const isNobody = peers === null || (peers.length === 0 && ports === null);
  const who = isNobody ? "nobody" : names.length === 0 ? "anybody" : names.join(" or ");
  return `${side} ${who} on ${formatPorts(ports)}`;
}

/** The L7 rules of all that decided; a plain rule beside them lets every request pass. */
function judge(
  engine: PolicyEngine,
  { direction, subject, peer, protocol, port }: SideQuery,
  request: L7Request,
): L7Verdict {
  const outcome = engine.subject(subject)[direction].evaluate(peer.id, protocol, port);
  const winners = outcome?.winners ?? [];
  if (outcome?.widened) return { verdict: "allowed", rules: winners.map(({ rule }) => rule.origin) };
  const allowing = winners.filter(({ need }) => need && allowsRequest({ kind: need.kind, rules: need.rules }, request));
  const from = allowing.length > 0 ? allowing : winners;
  return { verdict: allowing.length > 0 ? "allowed" : "denied", rules: from.map(({ rule }) => rule.origin) };
}

/** The trace as people read it. */
export function formatTrace(query: TraceQuery & { readonly names: readonly [string, string] }, traced: Trace): string {
  const [from, to] = query.names;
  const asked = query.request ? `, ${formatRequest(query.request)}` : "";
  const lines = [`${from} -> ${to} ${formatPort(query.protocol, query.port)}${asked}: ${traced.verdict}`];
  for (const side of [traced.egress, traced.ingress]) {
    if (!side) continue;
    lines.push("", formatExplanation(side.explanation));
    if (side.request) {
      lines.push(`  request ${side.request.verdict} by`);
      for (const rule of side.request.rules) lines.push(`    ${formatOrigin(rule)}`);
    }
    if (side.considered.length > 0) lines.push("  considered:");
    for (const rule of side.considered) lines.push(...formatTraced(rule));
  }
  return lines.join("\n");
}

function formatTraced({ rule, verdict, tier, summary, misses }: TracedRule): string[] {
  const tierName = tier === "Normal" ? "" : `${tier} `;
  const head = `    ${misses.length === 0 ? "matches" : "misses "} ${tierName}${verdict} ${summary}`;
  return [head, `      ${formatOrigin(rule)}`, ...misses.map((miss) => `      because ${miss}`)];
}
