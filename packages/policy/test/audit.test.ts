import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { explain, lookupEntry, parseDocuments, PolicyEngine, type PolicyMapEntry, type Rule } from "../src/index.ts";
import { documentOf, packet, rule, world } from "./arbitrary.ts";
import { naiveVerdict, type NaiveOptions } from "./naive.ts";
import { empireOnly, galaxy, modelOf } from "./worlds.ts";

function textOf(entry: PolicyMapEntry | null): string {
  if (!entry || entry.deny) return "deny";
  if (entry.audit) return "audit";
  return entry.proxyPort > 0 ? "proxy" : "allow";
}

/** What is enforced is what the other rules say; what all would deny besides is audited. */
function wantedOf(rules: readonly Rule[], packet: Parameters<typeof naiveVerdict>[1], options: NaiveOptions): string {
  const enforced = naiveVerdict(
    rules.filter(({ audit }) => !audit),
    packet,
    options,
  );
  if (enforced === "deny") return "deny";
  return naiveVerdict(rules, packet, options) === "deny" ? "audit" : enforced;
}

describe("audited policies", () => {
  it("deny nothing, say what they would deny, and leave the other rules alone", () => {
    const audited = fc
      .tuple(rule({ tiers: true, l7: true }), fc.boolean())
      .map(([made, audit]) => ({ ...made, audit }));
    const seen: Record<string, number> = {};
    const run = fc.property(
      fc.array(audited, { minLength: 1, maxLength: 6 }),
      fc.array(packet, { minLength: 30, maxLength: 30 }),
      fc.boolean(),
      fc.boolean(),
      (rules, packets, served, allowLocalhost) => {
        const options = { served, allowLocalhost, enforcement: "default" as const };
        const engine = new PolicyEngine({ allowLocalhost, proxyPorts: () => (served ? 10_000 : 0) });
        for (const identity of world) engine.upsertIdentity(identity);
        engine.update([documentOf(rules)]);
        for (const { direction, subject, peer, key } of packets) {
          const namedPorts = (direction === "ingress" ? subject : peer).namedPorts ?? [];
          const asked = { direction, subject, peer, protocol: key[0], port: key[1], namedPorts };
          const policy = engine.resolve({ id: 1, identity: subject });
          const entry = lookupEntry(policy, { direction, identity: peer.id, protocol: key[0], port: key[1] });
          const wanted = wantedOf(rules, asked, options);
          seen[wanted] = (seen[wanted] ?? 0) + 1;
          if (textOf(entry) !== wanted)
            expect(textOf(entry), JSON.stringify([subject.id, peer.id, direction, key, entry])).toBe(wanted);
        }
      },
    );
    fc.assert(run, { numRuns: 1_000, seed: 20261121 });
    expect(Object.keys(seen).sort()).toEqual(["allow", "audit", "deny", "proxy"]);
  });

  const http = { protocol: 6, port: 80 };

  it("are marked by an annotation, and named by what they would deny", () => {
    const marked = empireOnly.replace(
      "{ name: rule1 }",
      '{ name: rule1, annotations: { policy.skep.io/audit: "true" } }',
    );
    const model = modelOf(`${galaxy}---${marked}`);
    const [source, destination] = [model.end("xwing"), model.end("deathstar")];
    if (!source || !destination) throw new Error("no ends");
    const { verdict, ingress } = explain(model.engine, { source, destination, ...http });
    expect(verdict).toBe("allowed");
    expect(ingress).toMatchObject({ reason: "audit", rules: [{ name: "rule1" }], entry: { audit: true, deny: false } });
    const friend = model.end("tiefighter");
    if (!friend) throw new Error("no end");
    expect(explain(model.engine, { source: friend, destination, ...http }).ingress?.reason).not.toBe("audit");
  });

  it("of an endpoint deny nothing either where enforcement is always", () => {
    const engine = new PolicyEngine({ enforcement: "always", allowLocalhost: false });
    for (const identity of world) engine.upsertIdentity(identity);
    const [subject, peer] = [world[0], world[1]];
    if (!subject || !peer) throw new Error("no world");
    const verdict = (audit: boolean): string =>
      textOf(
        lookupEntry(engine.resolve({ id: 1, identity: subject, audit }), {
          ...{ direction: "ingress", identity: peer.id, protocol: 6, port: 80 },
        }),
      );
    expect(verdict(false)).toBe("deny");
    expect(verdict(true)).toBe("audit");
  });

  it("may be those of an endpoint, or of a namespace", () => {
    const { documents } = parseDocuments("p.yaml", empireOnly);
    const pod = (id: number, org: string) => ({
      id,
      labels: { "k8s:org": org, "k8s:class": "deathstar", "k8s:io.kubernetes.pod.namespace": "default" },
    });
    const verdictOf = (engine: PolicyEngine, audit: boolean): string => {
      const policy = engine.resolve({ id: 1, identity: pod(300, "empire"), audit });
      return textOf(lookupEntry(policy, { direction: "ingress", identity: 301, ...http }));
    };
    const engines = [new PolicyEngine(), new PolicyEngine({ auditNamespaces: ["default"] })] as const;
    for (const engine of engines) {
      engine.upsertIdentity(pod(300, "empire"));
      engine.upsertIdentity(pod(301, "alliance"));
      engine.update(documents);
    }
    expect(verdictOf(engines[0], false)).toBe("deny");
    expect(verdictOf(engines[0], true)).toBe("audit");
    expect(verdictOf(engines[1], false)).toBe("audit");
  });
});
