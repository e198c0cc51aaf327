/**
 * @module
 * Policies that only report: what is enforced is what the other rules say; what these would deny besides is allowed, with their names.
 */
import { decide, type Decider, type Outcome } from "./decision.ts";
import type { Filter } from "./filters.ts";
import { precedenceBytes, precedenceOf, type Levels } from "./levels.ts";
import type { Plan } from "./plan.ts";
import type { Rule } from "./rule.ts";

export interface AuditPlan {
  /** What is enforced. */
  readonly plan: Plan;
  /** What would be, with the audited rules. */
  readonly whole: Plan;
  readonly levels: Levels;
  readonly filters: readonly Filter[];
  readonly audited: ReadonlySet<Rule>;
}

/**
 * Deciders for identities, which see all filters for them and for everybody, and for everybody (0). Entries of an identity stand above those for
 * everybody, since both verdicts are in them already.
 */
export function auditDecider({ plan, whole, levels, filters, audited }: AuditPlan): (id: number) => Decider {
  const sideOf = ({ rules, openByDefault }: Plan): Side => ({
    keys: new Set(rules.map(({ key }) => key)),
    context: { levels, openByDefault },
  });
  const [real, wanted] = [sideOf(plan), sideOf(whole)];
  const verdict = ({ keys, context }: Side, matching: readonly Filter[]): Outcome | null =>
    decide(
      matching.filter(({ rule }) => keys.has(rule.key)),
      context,
    );
  // Nothing matches and something makes the direction default-deny: those rules are the ones to name.
  const deniers = (rules: readonly Rule[]): readonly Filter[] => {
    const wants = filters.filter(({ rule }) => rules.includes(rule) && rule.defaultDeny);
    return wants.length > 0 ? wants : filters.slice(0, 1);
  };
  const byDefault = { real: deniers(plan.rules), wanted: deniers(whole.rules.filter((rule) => audited.has(rule))) };
  return (id) => (matching) => {
    const enforced = verdict(real, matching);
    const hypothetical = verdict(wanted, matching);
    const level = id === 0 ? 1 : 0;
    if (enforced === null || enforced.deny) {
      const winners = enforced?.winners ?? byDefault.real;
      return {
        precedence: precedenceOf(level, precedenceBytes.deny),
        deny: true,
        proxyPort: 0,
        winners,
        widened: false,
      };
    }
    const precedence = precedenceOf(level, precedenceBytes.allow);
    if (hypothetical !== null && !hypothetical.deny) return { ...enforced, precedence };
    return { ...enforced, precedence, winners: hypothetical?.winners ?? byDefault.wanted, audit: true };
  };
}

interface Side {
  readonly keys: ReadonlySet<string>;
  readonly context: { readonly levels: Levels; readonly openByDefault: boolean };
}
