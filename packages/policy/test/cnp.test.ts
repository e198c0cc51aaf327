import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { parsePrefix } from "@skep/net";
import { describe, expect, it } from "vitest";
import { PolicyEngine } from "../src/engine.ts";
import type { NamedPort, PolicyIdentity } from "../src/identity.ts";
import { cidrLabel, parseLabels } from "../src/labels.ts";
import { lookupEntry } from "../src/lookup.ts";
import { parseValue } from "../src/parse/documents.ts";
import { hasErrors } from "../src/diagnostic.ts";
import { sharedData } from "./data.ts";

const path = sharedData("cnp/cases-a.jsonl.gz");

interface RawIdentity {
  id: number;
  labels?: string[];
  cidr?: string;
  tcpNamedPorts?: Record<string, number>;
  udpNamedPorts?: Record<string, number>;
}
interface Side {
  verdict: "allowed" | "denied";
  redirect?: boolean;
  found: boolean;
}
interface Case {
  id: string;
  identities: RawIdentity[];
  policies: unknown[];
  queries: { from: number; to: number; proto: string; dport: number }[];
  answers: { verdict: string; egress: Side | null; ingress: Side | null }[];
  parseErrors?: string[];
}

const protocols: Record<string, number> = { TCP: 6, UDP: 17, SCTP: 132, ICMP: 1, ICMPv6: 58 };

function identityOf(raw: RawIdentity): PolicyIdentity {
  const labels = { ...parseLabels(raw.labels ?? []) };
  const cidr = raw.cidr === undefined ? null : parsePrefix(raw.cidr);
  if (cidr) {
    labels[cidrLabel(cidr)] = "";
    labels[`reserved:world-ipv${cidr.address.family}`] = "";
  }
  const named = (ports: Record<string, number> | undefined, protocol: number): NamedPort[] =>
    Object.entries(ports ?? {}).map(([name, port]) => ({ name, protocol, port }));
  return {
    id: raw.id,
    labels,
    ...(cidr ? { cidr } : {}),
    namedPorts: [...named(raw.tcpNamedPorts, 6), ...named(raw.udpNamedPorts, 17)],
  };
}

/**
 * Objects that the engine took and the API server does not: a toFQDNs without a name (the schema wants one) and the label key `-a`
 * (no key of Kubernetes). We refuse them; for the verdicts they are replaced by what they mean: a name and a label that nobody has.
 */
const refusedBySchema = new Set("0348:0 0384:1 0475:2 0552:2 0710:0 0739:2 0956:1 0986:0".split(" "));

function mend(policy: unknown): unknown {
  const text = JSON.stringify(policy);
  return JSON.parse(
    text.replace('"toFQDNs":[{}]', '"toFQDNs":[{"matchName":"nobody.invalid"}]').replace('"-a":', '"nobody":'),
  );
}

function sideText(entry: ReturnType<typeof lookupEntry>): string {
  if (!entry) return "denied";
  return `${entry.deny ? "denied" : "allowed"}${entry.proxyPort > 0 ? " redirect" : ""}`;
}

function expected(side: Side): string {
  return `${side.verdict}${side.redirect ? " redirect" : ""}`;
}

describe.skipIf(!path)("worlds judged by Cilium's engine", () => {
  const cases = path
    ? gunzipSync(readFileSync(path))
        .toString()
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as Case)
    : [];
  const isRefusedBySchema = (world: Case, i: number): boolean => refusedBySchema.has(`${world.id.slice(3)}:${i}`);
  const options = { clusterName: null, nodeSelectors: false, extendedProtocols: false };

  it("refuses the same objects", () => {
    const differences: string[] = [];
    for (const world of cases) {
      const refused = new Set((world.parseErrors ?? []).map((text) => Number(text.split(":")[0])));
      for (const [i, policy] of world.policies.entries()) {
        const { diagnostics } = parseValue("policy", policy, options);
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
      const engine = new PolicyEngine({
        allowLocalhost: false,
        hostFirewall: true,
        dualStack: true,
        proxyPorts: () => 10_000,
      });
      const identities = new Map(world.identities.map((raw) => [raw.id, identityOf(raw)]));
      for (const identity of identities.values()) engine.upsertIdentity(identity);
      const policies = world.policies.map((policy, i) => (isRefusedBySchema(world, i) ? mend(policy) : policy));
      engine.update(policies.flatMap((policy) => parseValue("policy", policy, options).documents));
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
