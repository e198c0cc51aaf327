import { labelSelector, exists } from "./selector.ts";
import type { Direction, PeerSelector, Rule, Verdict } from "./rule.ts";

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

/**
 * No rule selects the direction; only rules that do not make it default-deny select it; some rules pass to nothing; the host reaches
 * its workloads (Cilium's allow-localhost).
 */
export function builtinRule(name: keyof typeof builtinNames, direction: Direction): Rule {
  const verdict: Verdict = name === "denyAny" ? "deny" : "allow";
  return {
    key: `builtin/${builtinNames[name]}/${direction}`,
    origin: { kind: "builtin", namespace: "", name: builtinNames[name], path: direction, span: null },
    subject: labelSelector([]),
    node: false,
    direction,
    verdict,
    tier: "Default",
    // Where both are needed the host comes before the denial of everybody.
    priority: name === "allowHost" ? 0 : 1,
    defaultDeny: false,
    peers: name === "allowHost" ? host : anybody,
    ports: null,
    authentication: null,
    log: null,
    audit: false,
  };
}
