/**
 * @module
 * The kernel's policy lookup once more, to find tracked connections that a new policy no longer allows.
 */
import type { PolicyMapEntry } from "@skep/policy";
import { policyPrefixLength } from "./encode.ts";

export interface PolicyQuestion {
  readonly direction: "ingress" | "egress";
  readonly identity: number;
  readonly protocol: number;
  /** Destination port, or the ICMP type. */
  readonly port: number;
}

/** Two lookups, the longest prefix of each, then the higher precedence: `verdict` in bpf/policy.bpf.ts. */
export function allows(entries: readonly PolicyMapEntry[], question: PolicyQuestion): boolean {
  const exact = longest(entries, question, question.identity);
  const any = longest(entries, question, 0);
  const chosen = exact && any ? (prefers(any, exact) ? any : exact) : (exact ?? any);
  return chosen !== null && !chosen.deny && chosen.proxyPort === 0;
}

function prefers(any: PolicyMapEntry, exact: PolicyMapEntry): boolean {
  if (any.precedence !== exact.precedence) return any.precedence > exact.precedence;
  return policyPrefixLength(any) > policyPrefixLength(exact);
}

function longest(
  entries: readonly PolicyMapEntry[],
  question: PolicyQuestion,
  identity: number,
): PolicyMapEntry | null {
  let best: PolicyMapEntry | null = null;
  for (const entry of entries) {
    if (entry.identity !== identity || !covers(entry, question)) continue;
    if (best === null || policyPrefixLength(entry) > policyPrefixLength(best)) best = entry;
  }
  return best;
}

function covers(entry: PolicyMapEntry, question: PolicyQuestion): boolean {
  if (entry.direction !== question.direction) return false;
  if (entry.protocol === 0) return true;
  if (entry.protocol !== question.protocol) return false;
  return entry.portPrefix === 0 || entry.port >>> (16 - entry.portPrefix) === question.port >>> (16 - entry.portPrefix);
}
