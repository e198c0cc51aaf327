import { describe, expect, it } from "vitest";
import {
  explain,
  formatConnection,
  formatTrace,
  parseRequest,
  PolicyEngine,
  trace,
  type ModelEnd,
  type PolicyModel,
} from "../src/index.ts";
import { empireOnly, galaxy, landingOnly, modelOf } from "./worlds.ts";

function ends(model: PolicyModel, from: string, to: string): { source: ModelEnd; destination: ModelEnd } {
  const source = model.end(from);
  const destination = model.end(to);
  if (!source || !destination) throw new Error(`no ${from} or ${to}`);
  return { source, destination };
}

const http = { protocol: 6, port: 80 };

describe("explain", () => {
  it("names the rule that allows", () => {
    const model = modelOf(`${galaxy}---${empireOnly}`);
    const { verdict, egress, ingress } = explain(model.engine, { ...ends(model, "tiefighter", "deathstar"), ...http });
    expect(verdict).toBe("allowed");
    expect(egress?.reason).toBe("not-enforced");
    expect(ingress?.reason).toBe("rule");
    expect(ingress?.rules).toMatchObject([
      { kind: "CiliumNetworkPolicy", namespace: "default", name: "rule1", path: "spec.ingress[0]" },
    ]);
    expect(ingress?.rules[0]?.span).toMatchObject({ file: "test.yaml", line: 22, column: 7 });
  });

  it("names the nearest rule where none allows, and by what it misses", () => {
    const model = modelOf(`${galaxy}---${empireOnly}`);
    const query = { ...ends(model, "xwing", "deathstar"), ...http };
    expect(formatConnection(query, explain(model.engine, query))).toBe(
      [
        "258 -> 256 80/TCP: denied",
        "egress allowed (no policy selects it)",
        "ingress denied (no rule allows it)",
        "  nearest: CiliumNetworkPolicy default/rule1 (test.yaml:22:7, spec.ingress[0])",
        "    but the peer has org=alliance, not empire",
      ].join("\n"),
    );
  });

  it("prefers the rule that misses by a port to one that misses by labels", () => {
    const other = empireOnly
      .replace("rule1", "rule2")
      .replace("matchLabels: { org: empire }\n      toPorts", "matchLabels: { a: b, c: d }\n      toPorts");
    const model = modelOf(`${galaxy}---${empireOnly}---${other}`);
    const { ingress } = explain(model.engine, { ...ends(model, "tiefighter", "deathstar"), protocol: 6, port: 8080 });
    expect(ingress?.nearest).toMatchObject({ rule: { name: "rule1" }, misses: ["8080/TCP is not among 80/TCP"] });
    const udp = explain(model.engine, { ...ends(model, "tiefighter", "deathstar"), protocol: 17, port: 80 });
    expect(udp.ingress?.nearest?.misses).toEqual(["the protocol is UDP, not that of 80/TCP"]);
  });

  it("names the rule that denies, not the one that allows beside it", () => {
    const deny = empireOnly.replace("rule1", "lockdown").replace("  ingress:", "  ingressDeny:");
    const model = modelOf(`${galaxy}---${empireOnly}---${deny}`);
    const { verdict, ingress } = explain(model.engine, { ...ends(model, "tiefighter", "deathstar"), ...http });
    expect(verdict).toBe("denied");
    expect(ingress).toMatchObject({ reason: "rule", nearest: null });
    expect(ingress?.rules.map(({ name }) => name)).toEqual(["lockdown"]);
  });

  it("says that the host always reaches its workloads, and that a policy may open by default", () => {
    const model = modelOf(`${galaxy}---${empireOnly}`);
    expect(explain(model.engine, { ...ends(model, "host", "deathstar"), ...http }).ingress?.reason).toBe("localhost");
    const open = modelOf(
      `${galaxy}---${empireOnly.replace("  ingress:", "  enableDefaultDeny: { ingress: false }\n  ingress:")}`,
    );
    expect(explain(open.engine, { ...ends(open, "xwing", "deathstar"), ...http })).toMatchObject({
      verdict: "allowed",
      ingress: { reason: "default-allow" },
    });
  });

  it("says that a proxy is missing, and is not open without it", () => {
    const model = modelOf(`${galaxy}---${landingOnly}`, { proxyPorts: () => 0 });
    const { ingress } = explain(model.engine, { ...ends(model, "tiefighter", "deathstar"), ...http });
    expect(ingress).toMatchObject({ verdict: "denied", reason: "proxy", rules: [{ name: "rule1" }] });
  });

  it("says that an authentication is missing", () => {
    const model = modelOf(`${galaxy}---${empireOnly}      authentication: { mode: required }\n`);
    const { ingress } = explain(model.engine, { ...ends(model, "tiefighter", "deathstar"), ...http });
    expect(ingress).toMatchObject({ verdict: "denied", reason: "authentication" });
  });

  it("agrees with an engine that has no rules", () => {
    const engine = new PolicyEngine();
    const identity = { id: 300, labels: { "k8s:app": "a" } };
    const end = { identity, subject: { id: 1, identity } };
    expect(explain(engine, { source: end, destination: end, ...http }).verdict).toBe("allowed");
  });
});

describe("trace", () => {
  it("lists every rule with what is in its way", () => {
    const other = empireOnly.replace("rule1", "rule2").replace("org: empire }\n      to", "org: rebels }\n      to");
    const model = modelOf(`${galaxy}---${empireOnly}---${other}`);
    const query = { ...ends(model, "tiefighter", "deathstar"), ...http };
    expect(formatTrace({ ...query, names: ["tiefighter", "deathstar"] }, trace(model.engine, query))).toBe(
      [
        "tiefighter -> deathstar 80/TCP: allowed",
        "",
        "egress allowed (no policy selects it)",
        "",
        "ingress allowed (by a rule)",
        "  CiliumNetworkPolicy default/rule1 (test.yaml:22:7, spec.ingress[0])",
        "  considered:",
        "    matches allow from org=empire, namespace=default on 80/TCP",
        "      CiliumNetworkPolicy default/rule1 (test.yaml:22:7, spec.ingress[0])",
        "    misses  allow from org=rebels, namespace=default on 80/TCP",
        "      CiliumNetworkPolicy default/rule2 (test.yaml:34:7, spec.ingress[0])",
        "      because the peer has org=empire, not rebels",
      ].join("\n"),
    );
  });

  it("also lists rules about others where all are wanted", () => {
    const model = modelOf(`${galaxy}---${empireOnly}`);
    const query = { ...ends(model, "tiefighter", "xwing"), ...http };
    expect(trace(model.engine, query).ingress?.considered).toEqual([]);
    expect(trace(model.engine, { ...query, all: true }).ingress?.considered[0]?.misses).toEqual([
      "the subject has org=alliance, not empire, and has class=xwing, not deathstar",
    ]);
  });

  it("judges a request by the L7 rules", () => {
    const model = modelOf(`${galaxy}---${landingOnly}`);
    const base = { ...ends(model, "tiefighter", "deathstar"), ...http };
    const ask = (text: string): string => {
      const request = parseRequest("http", text);
      return request ? trace(model.engine, { ...base, request }).verdict : "no request";
    };
    expect(trace(model.engine, base).verdict).toBe("redirected");
    expect(ask("POST /v1/request-landing")).toBe("allowed");
    expect(ask("PUT /v1/exhaust-port")).toBe("denied");
    expect(ask("POST /v1/request-landing/again")).toBe("denied");
  });

  it("lets every request pass where a plain rule stands beside the L7 rule", () => {
    const model = modelOf(`${galaxy}---${landingOnly}---${empireOnly.replace("rule1", "plain")}`);
    const request = { kind: "http", method: "PUT", path: "/v1/exhaust-port" } as const;
    const traced = trace(model.engine, { ...ends(model, "tiefighter", "deathstar"), ...http, request });
    expect(traced.verdict).toBe("allowed");
  });

  it("asks tiers in their order", () => {
    const tiers = `
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: { name: admin }
spec:
  tier: Admin
  priority: 10
  subject: { pods: { podSelector: { matchLabels: { class: deathstar } } } }
  ingress:
    - { name: ours, action: Pass, from: [{ pods: { podSelector: { matchLabels: { org: empire } } } }] }
    - { name: nobody, action: Deny, from: [{ namespaces: {} }] }
`;
    const model = modelOf(`${galaxy}---${empireOnly}---${tiers}`);
    expect(explain(model.engine, { ...ends(model, "xwing", "deathstar"), ...http }).ingress?.rules).toMatchObject([
      { name: "admin", path: "spec.ingress[1]", description: "nobody" },
    ]);
    expect(explain(model.engine, { ...ends(model, "tiefighter", "deathstar"), ...http }).ingress?.rules).toMatchObject([
      { name: "rule1" },
    ]);
    const passed = explain(model.engine, { ...ends(model, "tiefighter", "deathstar"), protocol: 6, port: 81 });
    expect(passed.ingress).toMatchObject({
      verdict: "denied",
      reason: "default-deny",
      nearest: { rule: { name: "rule1" } },
    });
  });
});

describe("ends", () => {
  const model = modelOf(`${galaxy}---
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: { name: out }
spec:
  endpointSelector: { matchLabels: { class: xwing } }
  egress:
    - toCIDRSet: [{ cidr: 10.0.0.0/8, except: [10.9.0.0/16] }]
    - toFQDNs: [{ matchName: yavin.example }, { matchPattern: "*.hoth.example" }]
    - toEntities: [kube-apiserver]
`);
  const verdict = (to: string): string =>
    explain(model.engine, { ...ends(model, "default/xwing", to), ...http }).verdict;
  it.each([
    ["10.1.2.3", "allowed"],
    ["10.9.2.3", "denied"],
    ["11.0.0.1", "denied"],
    ["yavin.example", "allowed"],
    ["echo.hoth.example", "allowed"],
    ["a.echo.hoth.example", "denied"],
    ["kube-apiserver", "allowed"],
    ["reserved:world", "denied"],
    ["org=empire,class=deathstar", "denied"],
  ])("%s is %s", (to, expected) => expect(verdict(to)).toBe(expected));

  it("is null for what is nothing", () => expect(model.end("alderaan")).toBeNull());
});
