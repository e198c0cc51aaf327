/** @module Why the two verifiers do not agree where they do not, and why a rule cannot be told by taking it out: known reasons. */
import type { Rule } from "@skep/verifier";

const known: readonly (readonly [pattern: RegExp, reason: string])[] = [
  [
    /too-complex|BPF program is too large/,
    "the budget: both stop at a million instructions, and prune a little differently",
  ],
  [
    /too-many-branches|sequence of N jumps is too complex/,
    "the count of waiting branches: both stop at 8,192, and prune a little differently",
  ],
  [
    /No program to jit at insn/,
    "the kernel's verifier accepts it; its own later step finds a call into a function that it has cut out as dead",
  ],
  [
    /verifier bug: backtracking misuse/,
    "no rule: the kernel's verifier stops itself, where it finds its own books on what must be exact in disorder",
  ],
  [
    /ldimmN failed to find the address for kernel symbol/,
    "the symbol is in the kernel's types and not in its table of addresses, which an object's verification does not ask",
  ],
];

/** Empty: none is written down. */
export function explanations(text: string): string {
  return known.find(([pattern]) => pattern.test(text))?.[1] ?? "";
}

/** Rules that the run cannot ask the kernel about. */
export const notAsked: Partial<Record<Rule, string>> = {
  "too-new": "another kernel than the one that is asked; directed test in cases.test.ts",
};

/** Rules behind which another one stands: without the rule the same programs are refused by that. */
export const shadowed: Partial<Record<Rule, string>> = {
  "stack-variable": "stack-bounds stands behind it: what has no bounds leaves the stack",
  "negative-offset": "value-bounds and memory-bounds stand behind it: what is negative begins outside",
  "unbounded-offset": "value-bounds and memory-bounds stand behind it: what has no bounds ends outside",
  "infinite-loop": "too-complex stands behind it: the budget ends what does not end",
};
