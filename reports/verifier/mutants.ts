/** @module Our verifier with one rule taken out: the fuzzed programs must tell. */
import { kernelTypes } from "@skep/linux";
import { rules, verifyLoaded, type LoadedProgram, type Rule } from "@skep/verifier";

export interface MutantResult {
  readonly rule: Rule;
  readonly code: string;
  /** Programs that both refused and that ours refused by this rule. */
  readonly programs: number;
  /** Of these accepted without the rule: each fails the run. */
  readonly accepted: number;
  /** Of these refused by another rule. */
  readonly otherRule: number;
}

export function compareMutants(kept: ReadonlyMap<Rule, readonly LoadedProgram[]>): MutantResult[] {
  const types = kernelTypes();
  return (Object.keys(rules) as Rule[]).map((rule) => {
    const programs = kept.get(rule) ?? [];
    let accepted = 0;
    let otherRule = 0;
    for (const program of programs) {
      const { refusal } = verifyLoaded(program, { kernelTypes: types, disabledRules: [rule], budget: 100_000 });
      if (refusal === null) accepted++;
      else otherRule++;
    }
    return { rule, code: rules[rule][0], programs: programs.length, accepted, otherRule };
  });
}
