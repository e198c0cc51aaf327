/** @module Why the two verifiers do not agree where they do not: known reasons, by what is said. */
const known: readonly (readonly [pattern: RegExp, reason: string])[] = [
  [
    /too-complex|BPF program is too large/,
    "the budget: both stop at a million instructions, and prune a little differently",
  ],
  [/bpf_snprintf/, "the words of a format text are not parsed: the kernel refuses wrong ones"],
];

export function explanations(text: string): string {
  return known.find(([pattern]) => pattern.test(text))?.[1] ?? "";
}
