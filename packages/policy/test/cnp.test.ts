import { describe, expect, it } from "vitest";
import { hasErrors, lookupEntry, parseValue, PolicyEngine } from "../src/index.ts";
import {
  documentsOf,
  engineOptions,
  identityOf,
  isRefusedBySchema,
  parseOptions,
  path,
  protocols,
  readCases,
  type Side,
} from "./cnp-worlds.ts";

function sideText(entry: ReturnType<typeof lookupEntry>): string {
  if (!entry) return "denied";
  return `${entry.deny ? "denied" : "allowed"}${entry.proxyPort > 0 ? " redirect" : ""}`;
}

function expected(side: Side): string {
  return `${side.verdict}${side.redirect ? " redirect" : ""}`;
}

describe.skipIf(!path)("worlds judged by Cilium's engine", () => {
  const cases = readCases();

  it("refuses the same objects", () => {
    const differences: string[] = [];
    for (const world of cases) {
      const refused = new Set((world.parseErrors ?? []).map((text) => Number(text.split(":")[0])));
      for (const [i, policy] of world.policies.entries()) {
        const { diagnostics } = parseValue("policy", policy, parseOptions);
        if (hasErrors(diagnostics) === (refused.has(i) || isRefusedBySchema(world, i))) continue;
        const ours = diagnostics.filter(({ severity }) => severity === "error").map(({ message }) => message);
        const theirs = world.parseErrors?.find((text) => text.startsWith(`${i}:`)) ?? "accepted";
        differences.push(`${world.id} ${i}: ours ${JSON.stringify(ours)} theirs ${theirs} ${JSON.stringify(policy)}`);
      }
    }
    expect(differences.slice(0, 20)).toEqual([]);
  });

  it("gives the same verdicts", () => {
    const differences: string[] = [];
    let compared = 0;
    for (const world of cases) {
      const engine = new PolicyEngine(engineOptions);
      const identities = new Map(world.identities.map((raw) => [raw.id, identityOf(raw)]));
      for (const identity of identities.values()) engine.upsertIdentity(identity);
      engine.update(documentsOf(world));
      const resolved = new Map<number, ReturnType<PolicyEngine["resolve"]>>();
      const policyOf = (id: number): ReturnType<PolicyEngine["resolve"]> | null => {
        const identity = identities.get(id);
        if (!identity) return null;
        const policy = resolved.get(id) ?? engine.resolve({ id, identity });
        resolved.set(id, policy);
        return policy;
      };
      for (const [i, query] of world.queries.entries()) {
        const answer = world.answers[i];
        const key = { protocol: protocols[query.proto] ?? 0, port: query.dport };
        const sides = [
          [answer?.egress, "egress", query.from, query.to],
          [answer?.ingress, "ingress", query.to, query.from],
        ] as const;
        for (const [side, direction, subject, peer] of sides) {
          if (!side) continue;
          const policy = policyOf(subject);
          if (!policy) continue;
          const ours = sideText(lookupEntry(policy, { ...key, direction, identity: peer }));
          compared++;
          if (ours === expected(side)) continue;
          differences.push(`${world.id} ${direction} ${JSON.stringify(query)}: ours ${ours}, theirs ${expected(side)}`);
        }
      }
    }
    expect(differences.slice(0, 20)).toEqual([]);
    expect(compared).toBe(502_532);
  }, 300_000);
});
