import { builtinRule } from "./builtin.ts";
import type { Peer } from "./identity.ts";
import type { Direction, Rule, Tier } from "./rule.ts";

/** When endpoints are default-deny: where a rule says so, always, or never (then no rule counts). */
export type Enforcement = "default" | "always" | "never";

export interface PlanContext {
  readonly enforcement: Enforcement;
  readonly allowLocalhost: boolean;
  readonly subject: Peer;
}

export interface Plan {
  readonly enforced: boolean;
  /** What matches no rule is allowed. */
  readonly openByDefault: boolean;
  readonly rules: readonly Rule[];
}

/** Which rules count, with those that stand for the defaults. Cilium: computePolicyEnforcementAndRules. */
export function planRules(direction: Direction, own: readonly Rule[], context: PlanContext): Plan {
  const { enforcement, subject, allowLocalhost } = context;
  const isAlways = enforcement === "always" || subject.labels.has("reserved:init");
  const selected = enforcement === "never" ? [] : own;
  if (selected.length === 0 && (!isAlways || enforcement === "never"))
    return { enforced: false, openByDefault: true, rules: [builtinRule("notEnforced", direction)] };
  const deniesByDefault = isAlways || selected.some(({ defaultDeny }) => defaultDeny);
  if (!deniesByDefault)
    return { enforced: true, openByDefault: true, rules: [...selected, builtinRule("allowAny", direction)] };
  // A policy that isolates has the last word in its tier: what it does not allow is not asked of the tiers below.
  const tier = selected.some((rule) => rule.defaultDeny && rule.tier === "Normal") ? "Normal" : "Default";
  const isHost = subject.labels.has("reserved:host");
  const passes = selected.some(({ verdict }) => verdict === "pass");
  const rules = [...selected];
  // What passes over the end of the tier of policies meets the same end after the last tier.
  const ends: readonly Tier[] = passes && tier === "Normal" ? ["Normal", "Default"] : [tier];
  for (const at of ends) {
    if (direction === "ingress" && allowLocalhost && !isHost) rules.push(builtinRule("allowHost", direction, at));
    if (passes || selected.some((rule) => rule.tier === "Baseline")) rules.push(builtinRule("denyAny", direction, at));
  }
  return { enforced: true, openByDefault: false, rules };
}
