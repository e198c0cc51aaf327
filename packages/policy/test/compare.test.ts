import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  checkPolicies,
  diffPolicies,
  formatDiff,
  formatSimulation,
  parseDocuments,
  parseFlows,
  readForeign,
  simulate,
  suggest,
  type PolicyDocument,
} from "../src/index.ts";
import { sharedData } from "./data.ts";
import { empireOnly, galaxy, landingOnly } from "./worlds.ts";

function documents(text: string): PolicyDocument[] {
  return parseDocuments("policies.yaml", text).documents;
}
const objects = readForeign(parseDocuments("galaxy.yaml", galaxy).foreign);

describe("diff", () => {
  it("lists the connections whose verdict differs, with the rule", () => {
    const rows = diffPolicies([], documents(empireOnly), objects);
    const changed = rows.map(({ from, to, before, after }) => `${from} ${to} ${before} ${after}`);
    expect(new Set(changed)).toEqual(
      new Set([
        "default/tiefighter default/deathstar allowed denied",
        "default/xwing default/deathstar allowed denied",
        "world default/deathstar allowed denied",
        "remote-node default/deathstar allowed denied",
        "kube-apiserver default/deathstar allowed denied",
      ]),
    );
    expect(formatDiff(rows).split("\n").slice(0, 2)).toEqual([
      "FROM                TO                 PORT               BEFORE   AFTER   BY",
      "default/tiefighter  default/deathstar  other TCP          allowed  denied  no rule allows it",
    ]);
    expect(formatDiff(rows)).toContain(
      "default/xwing       default/deathstar  other TCP, 80/TCP  allowed  denied  no rule allows it",
    );
  });

  it("names the rule that allows afterwards", () => {
    const wider = empireOnly.replace('"80"', '"0"');
    const rows = diffPolicies(documents(empireOnly), documents(wider), objects);
    expect(rows.map(({ from, port, after }) => [from, port.isRest, after])).toEqual([
      ["default/tiefighter", true, "allowed"],
    ]);
    expect(rows[0]?.rules).toMatchObject([{ name: "rule1" }]);
  });

  it("tells apart networks, ranges and L7", () => {
    const out = (cidr: string, port: string): string => `
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: { name: out }
spec:
  endpointSelector: { matchLabels: { class: xwing } }
  egress: [{ toCIDRSet: [{ cidr: ${cidr}, except: [10.1.0.0/16] }], toPorts: [{ ports: [{ ${port}, protocol: UDP }] }] }]
`;
    const rows = diffPolicies(
      documents(out("10.0.0.0/8", 'port: "100", endPort: 200')),
      documents(out("10.0.0.0/8", 'port: "150"')),
      objects,
    );
    expect(
      rows.map(({ to, port: { port, last }, before, after }) => `${to} ${port}-${last} ${before} ${after}`),
    ).toEqual(["10.0.0.0/8 100-149 allowed denied", "10.0.0.0/8 151-200 allowed denied"]);
    const l7 = diffPolicies(documents(empireOnly), documents(landingOnly), objects);
    expect(l7.map(({ before, after }) => `${before} ${after}`)).toEqual(["allowed redirected"]);
  });

  it("says that nothing differs", () => {
    expect(formatDiff(diffPolicies(documents(empireOnly), documents(`# moved\n${empireOnly}`), objects))).toBe(
      "no connection between the known ends changes its verdict",
    );
  });
});

/** A line as `hubble observe -o json` prints it. */
function flow(from: string, to: string, more: Record<string, unknown> = {}): string {
  const end = (name: string): Record<string, unknown> => {
    if (name.startsWith("reserved:")) return { identity: 2, labels: [name] };
    const [namespace = "", app = ""] = name.split("/");
    return {
      identity: 300,
      namespace,
      pod_name: `${app}-1`,
      labels: [`k8s:app=${app}`, `k8s:io.kubernetes.pod.namespace=${namespace}`],
    };
  };
  const { port = 80, source = 40000, ...rest } = more as { port?: number; source?: number };
  return JSON.stringify({
    flow: {
      verdict: "FORWARDED",
      source: end(from),
      destination: end(to),
      IP: { source: "10.0.0.1", destination: "93.184.216.34" },
      l4: { TCP: { source_port: source, destination_port: port } },
      traffic_direction: "EGRESS",
      is_reply: false,
      ...rest,
    },
    node_name: "n",
    time: "2026-11-21T00:00:00Z",
  });
}

const onlyWeb = `
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: { name: only-web, namespace: shop }
spec:
  endpointSelector: { matchLabels: { app: db } }
  ingress: [{ fromEndpoints: [{ matchLabels: { app: web } }], toPorts: [{ ports: [{ port: "5432", protocol: TCP }] }] }]
`;

describe("simulate", () => {
  const lines = [
    flow("shop/web", "shop/db", { port: 5432 }),
    flow("shop/job", "shop/db", { port: 5432, source: 1 }),
    flow("shop/job", "shop/db", { port: 5432, source: 2 }),
    flow("shop/db", "shop/web", { port: 40000, is_reply: true }),
    flow("shop/web", "reserved:world", { port: 443 }),
    flow("shop/old", "shop/db", { port: 5432, verdict: "DROPPED" }),
  ].join("\n");

  it("lists the recorded flows that change their verdict", () => {
    const { flows, skipped, diagnostics } = parseFlows("flows.jsonl", lines);
    expect([flows.length, skipped, diagnostics]).toEqual([5, 1, []]);
    const result = simulate({ after: documents(onlyWeb), flows });
    expect(result.changes.map(({ flow, before, after }) => `${flow.line} ${before} ${after}`)).toEqual([
      "2 allowed denied",
      "3 allowed denied",
    ]);
    expect(formatSimulation(result)).toBe(
      [
        "FLOWS  FROM        TO         PORT      VERDICT            BY",
        "2      shop/job-1  shop/db-1  5432/TCP  allowed -> denied  no rule allows it",
        "",
        "5 flows, 2 change their verdict",
      ].join("\n"),
    );
  });

  it("compares with the policies of before where they are given", () => {
    const { flows } = parseFlows("flows.jsonl", lines);
    const denied = onlyWeb.replace("  ingress:", "  ingressDeny:");
    const result = simulate({ before: documents(onlyWeb), after: documents(denied), flows });
    expect(
      result.changes.map(({ flow, after, rules }) => `${flow.line} ${after} ${rules.map(({ name }) => name).join()}`),
    ).toEqual(["1 denied only-web"]);
  });

  it("judges recorded requests, names and addresses", () => {
    const policy = `
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: { name: web, namespace: shop }
spec:
  endpointSelector: { matchLabels: { app: web } }
  ingress: [{ fromEndpoints: [{}], toPorts: [{ ports: [{ port: "80", protocol: TCP }], rules: { http: [{ path: "/shop/.*" }] } }] }]
  egress: [{ toFQDNs: [{ matchPattern: "*.example" }] }, { toCIDR: [93.184.0.0/16], toPorts: [{ ports: [{ port: "443" }] }] }]
`;
    const http = (url: string): object => ({ l7: { type: "REQUEST", http: { method: "GET", url } } });
    const { flows } = parseFlows(
      "f",
      [
        flow("shop/job", "shop/web", { ...http("http://web/shop/1") }),
        flow("shop/job", "shop/web", { ...http("http://web:80/admin?x=1") }),
        flow("shop/web", "reserved:world", { port: 25, destination_names: ["a.example"] }),
        flow("shop/web", "reserved:world", { port: 443 }),
        flow("shop/web", "reserved:world", { port: 25 }),
      ].join("\n"),
    );
    const result = simulate({ after: documents(policy), flows });
    expect(result.changes.map(({ flow, after }) => `${flow.line} ${after}`)).toEqual(["2 denied", "5 denied"]);
    expect(result.changes[0]?.rules).toMatchObject([{ name: "web" }]);
  });

  it("reports lines that are no flows", () => {
    const { flows, skipped, diagnostics } = parseFlows(
      "f.jsonl",
      `{"lost_events":{}}\nnonsense\n\n${flow("a/b", "a/c")}`,
    );
    expect([flows.length, skipped]).toEqual([1, 1]);
    expect(diagnostics).toMatchObject([{ severity: "error", span: { file: "f.jsonl", line: 2 } }]);
  });
});

const recorded = sharedData("hubble/observe-output.jsonl");
describe.skipIf(!recorded)("flows that hubble printed", () => {
  it("are read, replies and other events left out", () => {
    const lines = recorded ? readFileSync(recorded, "utf8").trim().split("\n") : [];
    const responses = new Map(
      lines
        .map((line) => JSON.parse(line) as { name: string; response: object })
        .map((each) => [each.name, each.response]),
    );
    const { flows, skipped, diagnostics } = parseFlows(
      "observe",
      [...responses.values()].map((each) => JSON.stringify(each)).join("\n"),
    );
    expect(diagnostics).toEqual([]);
    expect(flows.length + skipped).toBe(responses.size);
    expect(flows.length).toBeGreaterThan(15);
    expect(flows[0]).toMatchObject({
      protocol: 6,
      port: 8080,
      sourcePort: 41000,
      source: { pod: "frontend-6d5f8-abcde" },
      forwarded: true,
    });
    expect(flows.some(({ request }) => request?.kind === "http")).toBe(true);
    expect(simulate({ after: [], flows }).unknown).toEqual([]);
  });
});

describe("suggest", () => {
  const http = (method: string, url: string): object => ({ l7: { type: "REQUEST", http: { method, url } } });
  const lines = [
    flow("shop/web", "shop/api", { port: 8080, ...http("GET", "http://api/users/17") }),
    flow("shop/web", "shop/api", { port: 8080, ...http("GET", "http://api/users/18?full=1") }),
    flow("shop/api", "shop/db", { port: 5432 }),
    flow("ops/prometheus", "shop/api", { port: 9090 }),
    flow("ops/prometheus", "shop/web", { port: 9090 }),
    flow("shop/web", "reserved:world", { port: 443 }),
    flow("reserved:host", "shop/web", { port: 80 }),
    flow("shop/evil", "shop/db", { port: 5432, verdict: "DROPPED" }),
    flow("shop/web", "shop/api", { l4: { ICMPv4: { type: 8 } } }),
  ].join("\n");
  const { flows } = parseFlows("flows.jsonl", lines);

  it("allows what was recorded, by labels, and proves it", () => {
    const { yaml, denied, flows: asked } = suggest(flows);
    expect([asked, denied]).toEqual([8, []]);
    expect(yaml).toBe(`apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata:
  name: prometheus-observed
  namespace: ops
spec:
  endpointSelector:
    matchLabels:
      app: prometheus
  egress:
    - toEndpoints:
        - matchLabels:
            k8s:io.kubernetes.pod.namespace: shop
            app: api
        - matchLabels:
            k8s:io.kubernetes.pod.namespace: shop
            app: web
      toPorts:
        - ports:
            - port: "9090"
              protocol: TCP
---
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata:
  name: api-observed
  namespace: shop
spec:
  endpointSelector:
    matchLabels:
      app: api
  ingress:
    - fromEndpoints:
        - matchLabels:
            app: web
      icmps:
        - fields:
            - family: IPv4
              type: 8
    - fromEndpoints:
        - matchLabels:
            app: web
      toPorts:
        - ports:
            - port: "8080"
              protocol: TCP
          rules:
            http:
              - method: GET
                path: /users/[0-9]+(\\?.*)?
    - fromEndpoints:
        - matchLabels:
            k8s:io.kubernetes.pod.namespace: ops
            app: prometheus
      toPorts:
        - ports:
            - port: "9090"
              protocol: TCP
  egress:
    - toEndpoints:
        - matchLabels:
            app: db
      toPorts:
        - ports:
            - port: "5432"
              protocol: TCP
---
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata:
  name: db-observed
  namespace: shop
spec:
  endpointSelector:
    matchLabels:
      app: db
  ingress:
    - fromEndpoints:
        - matchLabels:
            app: api
      toPorts:
        - ports:
            - port: "5432"
              protocol: TCP
---
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata:
  name: web-observed
  namespace: shop
spec:
  endpointSelector:
    matchLabels:
      app: web
  ingress:
    - fromEndpoints:
        - matchLabels:
            k8s:io.kubernetes.pod.namespace: ops
            app: prometheus
      toPorts:
        - ports:
            - port: "9090"
              protocol: TCP
  egress:
    - toEndpoints:
        - matchLabels:
            app: api
      icmps:
        - fields:
            - family: IPv4
              type: 8
    - toEndpoints:
        - matchLabels:
            app: api
      toPorts:
        - ports:
            - port: "8080"
              protocol: TCP
          rules:
            http:
              - method: GET
                path: /users/[0-9]+(\\?.*)?
    - toEntities:
        - world
      toPorts:
        - ports:
            - port: "443"
              protocol: TCP
`);
  });

  it("denies what was not recorded", () => {
    const { documents } = suggest(flows);
    const { flows: others } = parseFlows(
      "o",
      [flow("shop/evil", "shop/db", { port: 5432 }), flow("shop/web", "shop/db", { port: 5432 })].join("\n"),
    );
    expect(simulate({ after: documents, flows: others }).changes.length).toBe(2);
  });

  it("names hosts of the world where asked to", () => {
    const { flows: named } = parseFlows(
      "n",
      flow("shop/web", "reserved:world", { port: 443, destination_names: ["api.example.com"] }),
    );
    const { yaml, denied } = suggest(named, { names: true });
    expect(denied).toEqual([]);
    expect(yaml).toContain("toFQDNs:\n        - matchName: api.example.com");
    expect(suggest(named).yaml).toContain("toEntities:\n        - world");
  });

  it("leaves requests to the port alone where asked to", () => {
    expect(suggest(flows, { http: false }).yaml).not.toContain("http:");
    expect(suggest(flows, { http: false }).denied).toEqual([]);
  });
});

describe("check", () => {
  const check = (policy: string): string[] =>
    checkPolicies(documents(policy), objects).map(
      ({ code, message, hint }) => `${code} ${message}${hint === undefined ? "" : ` (${hint})`}`,
    );

  it("finds nothing to say about a policy that fits", () => expect(check(empireOnly)).toEqual([]));

  it("finds selectors that select nothing and the label that is to blame", () => {
    expect(check(empireOnly.replace("class: deathstar", "class: deathstarr"))).toEqual([
      "SKEP6042 spec: no workload is selected by org=empire, class=deathstarr, namespace=default",
      "SKEP6045 spec: no workload has class=deathstarr (did you mean deathstar?)",
    ]);
    expect(check(empireOnly.replace("- matchLabels: { org: empire }", "- matchLabels: { orgs: empire }"))).toEqual([
      "SKEP6042 spec.ingress[0]: no workload is selected by orgs=empire, namespace=default",
      "SKEP6045 spec.ingress[0]: no workload has orgs=empire (did you mean org?)",
    ]);
  });

  it("finds references to what is not there", () => {
    const out = (rule: string): string =>
      `apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: { name: o }\nspec: { endpointSelector: {}, egress: [${rule}] }\n`;
    const group =
      "---\napiVersion: cilium.io/v2\nkind: CiliumCIDRGroup\nmetadata: { name: partners }\nspec: { externalCIDRs: [10.0.0.0/8] }\n";
    expect(check(out("{ toCIDRSet: [{ cidrGroupRef: partner }] }") + group)).toEqual([
      "SKEP6046 spec.egress[0]: there is no CiliumCIDRGroup partner (did you mean partners?)",
    ]);
    expect(check(out("{ toServices: [{ k8sService: { serviceName: s, namespace: n } }] }"))).toEqual([
      "SKEP6046 spec.egress[0]: there is no service n/s",
    ]);
  });
});
