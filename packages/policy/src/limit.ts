/**
 * @module
 * What is done where a policy has more entries than its map: never more is open than the policy says.
 */
import type { Diagnostic } from "./diagnostic.ts";
import type { EndpointPolicy, PolicyMapEntry, PolicyOverflow } from "./map-state.ts";
import type { Rule } from "./rule.ts";
import { formatOrigin } from "./text.ts";

/** Cilium's default for the policy map of an endpoint. */
export const DEFAULT_MAX_ENTRIES = 16_384;
const MAX_COSTS = 10;

/**
 * As many of the entries as the limit takes: first those that deny or send to a proxy, then those that allow, the broadest first. An entry that
 * allows and is left out leaves its packets to a broader one that says less, or to the denial by default. Where not even the denials fit, nothing is
 * allowed at all.
 */
export function limitEntries(entries: readonly PolicyMapEntry[], limit: number): readonly PolicyMapEntry[] {
  if (entries.length <= limit) return entries;
  const isStrict = ({ deny, proxyPort }: PolicyMapEntry): boolean => deny || proxyPort > 0;
  const strict = entries.filter(isStrict);
  if (strict.length > limit) return [];
  const open = entries.filter((entry) => !isStrict(entry)).sort(broadFirst);
  return [...strict, ...open.slice(0, limit - strict.length)];
}

/** The entry for everybody first, then by the prefix over protocol and port. */
function broadFirst(a: PolicyMapEntry, b: PolicyMapEntry): number {
  const isAny = (entry: PolicyMapEntry): number => (entry.identity === 0 ? 0 : 1);
  const depth = ({ protocol, portPrefix }: PolicyMapEntry): number => (protocol === 0 ? 0 : 1 + portPrefix);
  return isAny(a) - isAny(b) || depth(a) - depth(b) || a.identity - b.identity;
}

export function overflowOf(
  entries: number,
  limit: number,
  costs: Iterable<readonly [rule: Rule, entries: number]>,
): PolicyOverflow {
  const sums = new Map<Rule, number>();
  for (const [rule, cost] of costs) if (rule.origin.kind !== "builtin") sums.set(rule, (sums.get(rule) ?? 0) + cost);
  const sorted = [...sums].sort(([, a], [, b]) => b - a).slice(0, MAX_COSTS);
  return { entries, limit, costs: sorted.map(([rule, cost]) => ({ rule: rule.origin, entries: cost })) };
}

/** The refusal, as a value; null where the policy fits. */
export function overflowDiagnostic({ overflow, endpoint }: EndpointPolicy): Diagnostic | null {
  if (!overflow) return null;
  const { entries, limit, costs } = overflow;
  const [first] = costs;
  return {
    code: "SKEP6050",
    severity: "error",
    message: `the policy of endpoint ${endpoint} has ${entries} entries, its map holds ${limit}: what does not fit is denied`,
    ...(first?.rule.span ? { span: first.rule.span } : {}),
    hint: "select fewer peers, or whole namespaces and entities; write ranges of ports for lists of them",
    related: costs.map(({ rule, entries: cost }) => ({
      message: `${cost} entries: ${formatOrigin(rule)}`,
      ...(rule.span ? { span: rule.span } : {}),
    })),
  };
}
