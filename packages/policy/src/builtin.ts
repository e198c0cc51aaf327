import { labelSelector, exists } from "./selector.ts";
import type { Direction, PeerSelector, Rule, Tier, Verdict } from "./rule.ts";

/** Rules that no document holds. Their names are those of their origins. */
export const builtinNames = {
  notEnforced: "policy-not-enforced",
  allowAny: "allow-by-default",
  denyAny: "deny-by-default",
  allowHost: "allow-localhost",
} as const;

const anybody: readonly PeerSelector[] = [{ kind: "labels", selector: labelSelector([]), span: null }];
const host: readonly PeerSelector[] = [
  {
    kind: "labels",
    selector: labelSelector([exists({ source: "reserved", key: "host" })]),
    span: null,
    entity: "host",
  },
];

const LAST = Number.MAX_SAFE_INTEGER;

/**
 * No rule selects the direction; only rules that do not make it default-deny select it; some rules pass to nothing; the host reaches
 * its workloads (Cilium's allow-localhost).
 */
export function builtinRule(name: keyof typeof builtinNames, direction: Direction, tier: Tier = "Default"): Rule {
  const verdict: Verdict = name === "denyAny" ? "deny" : "allow";
  return {
    key: `builtin/${builtinNames[name]}/${direction}/${tier}`,
    origin: { kind: "builtin", namespace: "", name: builtinNames[name], path: direction, span: null },
    subject: labelSelector([]),
    node: false,
    direction,
    verdict,
    tier,
    // After all rules of the tier; where both are needed the host comes before the denial of everybody.
    priority: name === "allowHost" ? LAST - 1 : LAST,
    defaultDeny: false,
    peers: name === "allowHost" ? host : anybody,
    ports: null,
    authentication: null,
    log: null,
    audit: false,
  };
}
