import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  formatDiagnostic,
  lookupEntry,
  overflowDiagnostic,
  parseDocuments,
  PolicyEngine,
  type PolicyIdentity,
} from "../src/index.ts";
import { documentOf, packet, rule, world } from "./arbitrary.ts";

describe("a policy that does not fit its map", () => {
  it("allows nothing that it would not allow if it fitted", () => {
    const rules = fc.array(rule({ tiers: true, l7: true }), { minLength: 3, maxLength: 8 });
    let limited = 0;
    const run = fc.property(
      rules,
      fc.integer({ min: 0, max: 20 }),
      fc.array(packet, { minLength: 30, maxLength: 30 }),
      (made, maxEntries, packets) => {
        const engines = [new PolicyEngine(), new PolicyEngine({ maxEntries })] as const;
        for (const engine of engines) {
          for (const identity of world) engine.upsertIdentity(identity);
          engine.update([documentOf(made)]);
        }
        for (const { direction, subject, peer, key } of packets) {
          const [whole, part] = engines.map((engine) => engine.resolve({ id: 1, identity: subject }));
          if (!whole || !part) continue;
          expect(part.entries.length).toBeLessThanOrEqual(maxEntries);
          expect(part.overflow?.entries).toBe(whole.entries.length > maxEntries ? whole.entries.length : undefined);
          if (part.overflow) limited++;
          const at = { direction, identity: peer.id, protocol: key[0], port: key[1] };
          const [inWhole, inPart] = [lookupEntry(whole, at), lookupEntry(part, at)];
          if (!inPart || inPart.deny) continue;
          expect(inWhole !== null && !inWhole.deny, JSON.stringify(at)).toBe(true);
          if (inPart.proxyPort === 0) expect(inWhole?.proxyPort).toBe(0);
        }
      },
    );
    fc.assert(run, { numRuns: 400, seed: 20261121 });
    expect(limited).toBeGreaterThan(1000);
  });

  it("names the rules that cost most", () => {
    const text = `
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: { name: small }
spec:
  endpointSelector: {}
  ingress: [{ fromEndpoints: [{ matchLabels: { n: "1" } }] }]
---
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: { name: wide }
spec:
  endpointSelector: {}
  ingress: [{ fromEndpoints: [{}], toPorts: [{ ports: [{ port: "80" }, { port: "443" }] }] }]
`;
    const engine = new PolicyEngine({ maxEntries: 100 });
    const identities = Array.from({ length: 100 }, (_, i): PolicyIdentity => ({
      id: 300 + i,
      labels: { "k8s:n": String(i), "k8s:io.kubernetes.pod.namespace": "default" },
    }));
    for (const identity of identities) engine.upsertIdentity(identity);
    engine.update(parseDocuments("wide.yaml", text).documents);
    const policy = engine.resolve({ id: 7, identity: identities[0] ?? { id: 0, labels: {} } });
    const diagnostic = overflowDiagnostic(policy);
    expect(diagnostic && formatDiagnostic(diagnostic).split("\n")).toEqual([
      "wide.yaml:14:13: error SKEP6050: the policy of endpoint 7 has 596 entries, its map holds 100: what does not fit is denied",
      "  hint: select fewer peers, or whole namespaces and entities; write ranges of ports for lists of them",
      "  wide.yaml:14:13: 594 entries: CiliumNetworkPolicy default/wide (wide.yaml:14:13, spec.ingress[0])",
      "  wide.yaml:7:13: 1 entries: CiliumNetworkPolicy default/small (wide.yaml:7:13, spec.ingress[0])",
    ]);
    expect(engine.delta({ id: 7, identity: identities[0] ?? { id: 0, labels: {} } }, 0)).toBeNull();
    expect(overflowDiagnostic({ ...policy, overflow: undefined } as never)).toBeNull();
  });
});
