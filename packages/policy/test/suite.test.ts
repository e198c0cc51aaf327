import { describe, expect, it } from "vitest";
import {
  formatJunit,
  formatResults,
  formatTap,
  parseDocuments,
  parsePortQuery,
  parseSuites,
  runSuite,
  type PolicyTestResult,
} from "../src/index.ts";
import { empireOnly, galaxy, landingOnly } from "./worlds.ts";

const suiteHead = "apiVersion: skep.io/v1\nkind: PolicyTest\nname: star wars\npolicies: [../policies]\ntests:\n";

function run(tests: string, policies: string): PolicyTestResult[] {
  const { suites, diagnostics } = parseSuites("wars.test.yaml", suiteHead + tests);
  expect(diagnostics).toEqual([]);
  const [suite] = suites;
  if (!suite) throw new Error("no suite");
  expect(suite.policies).toEqual(["../policies"]);
  return runSuite(suite, parseDocuments("policies.yaml", policies));
}

const good = `
  - { from: tiefighter, to: deathstar, port: 80/TCP, verdict: allowed, by: rule1 }
  - { from: tiefighter, to: deathstar, port: 80, verdict: allowed, egress: allowed, ingress: allowed, by: default/rule1 }
  - { from: xwing, to: deathstar, port: 80/TCP, verdict: denied, by: default-deny }
  - { from: deathstar, to: xwing, port: ICMP/EchoRequest, verdict: allowed }
  - { from: host, to: deathstar, port: 443/UDP, verdict: allowed, by: localhost }
  - { from: "org=empire", to: deathstar, port: 80/TCP, verdict: allowed }
  - { from: 192.0.2.7, to: deathstar, port: 80/TCP, verdict: denied, ingress: denied }
`;

describe("suites", () => {
  it("ask who reaches whom, and by which rule", () => {
    const results = run(good, `${galaxy}---${empireOnly}`);
    expect(results.flatMap(({ problems }) => problems)).toEqual([]);
    expect(results.length).toBe(7);
  });

  it("ask for requests where a rule looks into them", () => {
    const results = run(
      `
  - { from: tiefighter, to: deathstar, port: 80/TCP, verdict: redirected }
  - { from: tiefighter, to: deathstar, port: 80/TCP, http: POST /v1/request-landing, verdict: allowed, by: rule1 }
  - { from: tiefighter, to: deathstar, port: 80/TCP, http: PUT /v1/exhaust-port, verdict: denied }
`,
      `${galaxy}---${landingOnly}`,
    );
    expect(results.flatMap(({ problems }) => problems)).toEqual([]);
  });

  it("say what is otherwise than expected", () => {
    const results = run(
      `
  - { name: the alliance gets in, from: xwing, to: deathstar, port: 80/TCP, verdict: allowed }
  - { from: tiefighter, to: deathstar, port: 80/TCP, verdict: allowed, by: rule2 }
  - { from: tiefighter, to: alderaan, port: 80/TCP, verdict: allowed }
`,
      `${galaxy}---${empireOnly}`,
    );
    expect(results.map(({ ok }) => ok)).toEqual([false, false, false]);
    expect(results.map(({ problems }) => problems)).toEqual([
      ["the connection is denied, not allowed"],
      ["it was decided by policy-not-enforced, not-enforced, rule1, default/rule1, rule, not by rule2"],
      ['there is no workload, entity, address or name "alderaan"'],
    ]);
    const text = formatResults(results);
    expect(text).toContain("FAIL the alliance gets in");
    expect(text).toContain("wars.test.yaml:7:5");
    expect(text).toContain("but the peer has org=alliance, not empire");
    expect(text).toMatch(/3 tests, 3 failed$/);
    expect(formatTap(results)).toContain("not ok 1 - star wars: the alliance gets in\n  ---\n");
    expect(formatTap(results)).toMatch(/^TAP version 14\n1\.\.3\n/);
    const junit = formatJunit(results);
    expect(junit).toContain('<testsuites tests="3" failures="3">');
    expect(junit).toContain(
      '<testcase classname="star wars" name="the alliance gets in" file="wars.test.yaml" line="7">',
    );
    expect(junit).toContain('<failure message="the connection is denied, not allowed">');
    expect(junit).toContain("no workload, entity, address or name &quot;alderaan&quot;");
  });

  it("bring workloads and namespaces of their own", () => {
    const text = `
apiVersion: skep.io/v1
kind: PolicyTest
metadata: { name: own }
namespaces: { team: { tier: gold } }
workloads:
  - { name: a, namespace: team, labels: { app: a }, ports: { http: 8080/TCP } }
  - { name: b, labels: { app: b } }
tests:
  - { from: team/a, to: b, port: 80/TCP, verdict: allowed }
  - { from: b, to: team/a, port: 8080/TCP, verdict: allowed, by: only-http }
  - { from: b, to: a, port: 80/TCP, verdict: denied }
`;
    const policy = `
apiVersion: cilium.io/v2
kind: CiliumClusterwideNetworkPolicy
metadata: { name: only-http }
spec:
  endpointSelector: { matchLabels: { k8s:io.cilium.k8s.namespace.labels.tier: gold } }
  ingress: [{ toPorts: [{ ports: [{ port: http, protocol: TCP }] }] }]
`;
    const { suites } = parseSuites("own.yaml", text);
    const results = suites.flatMap((suite) => runSuite(suite, parseDocuments("p.yaml", policy)));
    expect(results.flatMap(({ problems }) => problems)).toEqual([]);
    expect(results.length).toBe(3);
  });

  it.each([
    [
      "{ from: a, to: b, port: 80/TCP, verdict: maybe }",
      'tests[0].verdict: "maybe" is not one of allowed, denied, redirected',
    ],
    ["{ from: a, to: b, verdict: allowed }", "tests[0]: the field port is missing"],
    [
      "{ from: a, to: b, port: http, verdict: allowed }",
      'tests[0].port: "http" is no port such as 80/TCP, 53/UDP or ICMP/EchoRequest',
    ],
    ["{ from: a, to: b, port: 80, http: GET, verdict: allowed }", 'tests[0].http: "GET" is no request of http'],
    ["{ from: a, too: b, to: b, port: 80, verdict: allowed }", "tests[0].too: unknown field"],
  ])("with an error are left out: %s", (test, message) => {
    const { suites, diagnostics } = parseSuites("bad.yaml", `${suiteHead}  - ${test}\n`);
    expect(suites).toEqual([]);
    expect(diagnostics).toMatchObject([{ severity: "error", message, span: { line: 6 } }]);
  });
});

describe("ports of queries", () => {
  it.each([
    ["80", { protocol: 6, port: 80 }],
    ["80/TCP", { protocol: 6, port: 80 }],
    ["53/udp", { protocol: 17, port: 53 }],
    ["9/sctp", { protocol: 132, port: 9 }],
    ["ICMP/8", { protocol: 1, port: 8 }],
    ["icmpv6/EchoRequest", { protocol: 58, port: 128 }],
    ["GRE", { protocol: 47, port: 0 }],
    ["http", null],
    ["70000/TCP", null],
    ["80/XYZ", null],
    ["ICMP/300", null],
  ])("%s", (text, expected) => expect(parsePortQuery(text)).toEqual(expected));
});
