import { describe, expect, it } from "vitest";
import {
  formatDiagnostic,
  parseDocuments,
  PolicyEngine,
  problemsOf,
  type PolicyIdentity,
  type Rule,
} from "../src/index.ts";
import { documentOf } from "./arbitrary.ts";

const web: PolicyIdentity = { id: 300, labels: { "k8s:app": "web", "k8s:io.kubernetes.pod.namespace": "default" } };
const subject = { id: 9, identity: web };

function engineOf(text: string): PolicyEngine {
  const engine = new PolicyEngine({ proxyPorts: () => 1 });
  engine.upsertIdentity(web);
  engine.update(parseDocuments("p.yaml", text).documents);
  return engine;
}

const policy = (name: string, rules: string): string => `
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: { name: ${name} }
spec:
  endpointSelector: {}
  egress: [{ toEndpoints: [{}], toPorts: [{ ports: [{ port: "53", protocol: TCP }], rules: { ${rules} } }] }]
`;

describe("problems of a policy in force", () => {
  it("are none where nothing is wrong", () =>
    expect(problemsOf(engineOf(policy("a", "http: [{}]")), subject)).toEqual([]));

  it("name L7 rules of different kinds on one port", () => {
    const [found, ...rest] = problemsOf(
      engineOf(`${policy("a", "http: [{}]")}---${policy("b", 'dns: [{ matchPattern: "*" }]')}`),
      subject,
    );
    expect(rest).toEqual([]);
    expect(found && formatDiagnostic(found).split("\n")).toEqual([
      "p.yaml:14:12: warning SKEP6051: rules of different L7 kinds on 53/TCP: one of them is not asked, and what it allows is denied",
      "  hint: let rules of one kind have the port",
      "  p.yaml:14:12: not asked: CiliumNetworkPolicy default/b (p.yaml:14:12, spec.egress[0])",
      "  p.yaml:7:12: asked: CiliumNetworkPolicy default/a (p.yaml:7:12, spec.egress[0])",
    ]);
  });

  it("name priorities that the kernel cannot tell apart, and allow nothing", () => {
    const [base] = parseDocuments("p.yaml", policy("a", "http: [{}]")).documents.flatMap(({ rules }) => rules);
    if (!base) throw new Error("no rule");
    const level = (tier: Rule["tier"], priority: number): Rule => ({
      ...base,
      ...{ tier, priority, verdict: "pass", ports: null, key: `${tier} ${priority}` },
    });
    const rules = (["Admin", "Normal", "Baseline"] as const).flatMap((tier) =>
      Array.from({ length: 300 }, (_, i) => level(tier, i)),
    );
    const engine = new PolicyEngine();
    engine.upsertIdentity(web);
    engine.update([documentOf(rules)]);
    expect(problemsOf(engine, subject)).toMatchObject([{ code: "SKEP6052", severity: "error" }]);
    expect(engine.resolve(subject).entries.filter(({ direction }) => direction === "egress")).toEqual([]);
    expect(engine.resolve(subject).egressEnforced).toBe(true);
  });
});
