/**
 * @module
 * Rules of one subject and direction as filters: who, on which protocol and ports, and what then.
 */
import { portRangeToPrefixes, type PortPrefix } from "@skep/net";
import type { NamedPort } from "./identity.ts";
import { needOf, redirectByte, type ProxyNeed, type ProxyPorts } from "./l7-need.ts";
import { precedenceBytes } from "./levels.ts";
import type { Direction, PortMatch, PortRule, Rule, Tier, Verdict } from "./rule.ts";
import type { CachedSelector, SelectorCache } from "./selector-cache.ts";

export interface Filter {
  readonly rule: Rule;
  readonly ruleId: number;
  /** Null: anybody. */
  readonly selectors: readonly CachedSelector[] | null;
  readonly protocol: number;
  /** A name that each peer resolves (egress), or the ports. */
  readonly ports: string | readonly PortPrefix[];
  readonly verdict: Verdict;
  readonly tier: Tier;
  readonly priority: number;
  /** Low byte of the precedence. */
  readonly byte: number;
  readonly need: ProxyNeed | null;
  readonly proxyPort: number;
}

export interface FilterContext {
  readonly cache: SelectorCache;
  readonly direction: Direction;
  /** Of the subject. */
  readonly namedPorts: readonly NamedPort[];
  readonly proxyPorts: ProxyPorts;
  readonly ruleId: (rule: Rule) => number;
}

const everyPort: PortMatch = { protocol: 0, port: 0, last: 65535 };
export const allPorts: readonly PortPrefix[] = [{ port: 0, length: 0 }];

/** The filters of a rule; they hold selectors of the cache until `releaseFilters`. */
export function filtersOf(rule: Rule, context: FilterContext): Filter[] {
  const { peers, ports } = rule;
  // A rule that names neither peers nor ports matches nothing.
  if (peers === null || (peers.length === 0 && ports === null)) return [];
  const isAny = peers.length === 0 || peers.some((p) => p.kind === "labels" && p.selector.requirements.length === 0);
  const matches = ports?.flatMap((port) => port.ports.map((match) => ({ port, match })));
  return (matches ?? [{ port: null, match: everyPort }]).flatMap(({ port, match }) => {
    const resolved = portsOf(match, context);
    if (resolved === null) return [];
    const selectors = isAny ? null : peers.map((peer) => context.cache.acquire(peer));
    return [{ ...verdictOf(rule, port, { match, context }), selectors, protocol: match.protocol, ports: resolved }];
  });
}

export function releaseFilters(filters: Iterable<Filter>, cache: SelectorCache): void {
  for (const { selectors } of filters) for (const selector of selectors ?? []) cache.release(selector);
}

/** Null where the name is unknown. On ingress the port is the subject's own, on egress each peer's. */
function portsOf({ protocol, port, last }: PortMatch, context: FilterContext): Filter["ports"] | null {
  if (typeof port === "number") return portRangeToPrefixes(port, last);
  if (context.direction === "egress") return port;
  const named = namedPort(context.namedPorts, port, protocol);
  return named === null ? null : [{ port: named, length: 16 }];
}

export function namedPort(ports: readonly NamedPort[], name: string, protocol: number): number | null {
  return ports.find((port) => port.name === name && port.protocol === protocol)?.port ?? null;
}

function verdictOf(
  rule: Rule,
  port: PortRule | null,
  { match, context }: { match: PortMatch; context: FilterContext },
): Pick<Filter, "rule" | "ruleId" | "verdict" | "tier" | "priority" | "byte" | "need" | "proxyPort"> {
  const { tier, priority } = rule;
  const common = { rule, ruleId: context.ruleId(rule), tier, priority, need: null, proxyPort: 0 };
  // An authentication that nobody performs is not performed: what the rule matches is denied.
  const needsAuthentication = rule.authentication !== null && rule.authentication.mode !== "disabled";
  if (rule.verdict === "deny" || (rule.verdict === "allow" && needsAuthentication))
    return { ...common, verdict: "deny", byte: precedenceBytes.deny };
  if (rule.verdict === "pass") return { ...common, verdict: "pass", byte: precedenceBytes.pass };
  const need = port && needOf(port);
  if (need === null) return { ...common, verdict: "allow", byte: precedenceBytes.allow };
  const at = { direction: context.direction, protocol: match.protocol, port: Number(match.port) || 0 };
  return { ...common, verdict: "allow", byte: redirectByte(need), need, proxyPort: context.proxyPorts(need, at) };
}
