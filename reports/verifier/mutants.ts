/** @module Our verifier with one rule taken out: the programs that broke it must tell. */
import { kernelTypes } from "@skep/linux";
import { privilegeRules, rules, type Rule } from "@skep/verifier";
import { fuzzLoaded } from "../../packages/verifier/test/generate.ts";
import { cases } from "../../packages/verifier/test/cases.ts";
import { verifyWithout } from "../../packages/verifier/src/verify.ts";
import type { Kept } from "./fuzz.ts";

export interface MutantResult {
  readonly rule: Rule;
  readonly code: string;
  /** Programs that the kernel refuses, and ours by this rule. */
  readonly programs: number;
  /** Of these accepted without the rule: each fails the run. */
  readonly accepted: number;
  /** What refuses the rest: rules, with how often. */
  readonly others: ReadonlyMap<Rule, number>;
}

/** Without the rule a program may be walked for long. */
const BUDGET = 100_000;

export function compareMutants(kept: ReadonlyMap<Rule, readonly Kept[]>): MutantResult[] {
  const types = kernelTypes();
  const directed = new Map<Rule, Kept[]>();
  for (const { rule, refused } of cases) {
    directed.set(rule, [...(directed.get(rule) ?? []), { program: fuzzLoaded(refused), contents: new Map() }]);
  }
  // The fuzzed programs are loaded by root, whom these rules do not concern.
  const asked = (Object.keys(rules) as Rule[]).filter((rule) => !privilegeRules.includes(rule));
  return asked.map((rule) => {
    const programs = [...(directed.get(rule) ?? []), ...(kept.get(rule) ?? [])];
    const others = new Map<Rule, number>();
    let accepted = 0;
    for (const { program, contents } of programs) {
      const { refusal } = verifyWithout([rule], program, { kernelTypes: types, budget: BUDGET, contents });
      if (refusal === null) accepted++;
      else others.set(refusal.rule, (others.get(refusal.rule) ?? 0) + 1);
    }
    return { rule, code: rules[rule][0], programs: programs.length, accepted, others };
  });
}
