import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { flow } from "@skep/api";
import { jsonLine, recordOfFlow } from "@skep/flows";
import { main } from "../src/program.ts";
import { type FakeAgent, fakeAgent } from "./fake-agent.ts";
import { skep } from "./in-process.ts";

const pods = ["deathstar: { org: empire, class: deathstar }", "tiefighter: { org: empire }", "xwing: { org: alliance }"]
  .map((each) => {
    const [name = "", labels = ""] = each.split(/: (.*)/);
    return `apiVersion: v1\nkind: Pod\nmetadata:\n  name: ${name}\n  labels: ${labels}\n`;
  })
  .join("---\n");

const policy = (org: string): string => `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata:
  name: landing
spec:
  endpointSelector:
    matchLabels: { class: deathstar }
  ingress:
    - fromEndpoints: [{ matchLabels: { org: ${org} } }]
      toPorts: [{ ports: [{ port: "80", protocol: TCP }] }]
`;

const suite = `apiVersion: skep.io/v1
kind: PolicyTest
name: landing
policies: [../policies]
tests:
  - { name: the empire lands, from: tiefighter, to: deathstar, port: 80/TCP, verdict: allowed, by: landing }
  - { name: the alliance does not, from: xwing, to: deathstar, port: 80/TCP, verdict: denied }
`;

const namespace = "k8s:io.kubernetes.pod.namespace=default";
const end = (id: number, name: string, ...labels: string[]): flow.Endpoint =>
  create(flow.EndpointSchema, {
    ID: id,
    identity: id,
    namespace: "default",
    podName: name,
    labels: [...labels, namespace],
  });
const landing = (source: flow.Endpoint): flow.Flow =>
  create(flow.FlowSchema, {
    verdict: flow.Verdict.FORWARDED,
    IP: { source: "10.0.0.1", destination: "10.0.0.2", ipVersion: flow.IPVersion.IPv4 },
    l4: { protocol: { case: "TCP", value: { sourcePort: 4000, destinationPort: 80 } } },
    source,
    destination: end(300, "deathstar", "k8s:class=deathstar", "k8s:org=empire"),
    isReply: false,
  });
const recorded = [
  landing(end(301, "tiefighter", "k8s:class=tiefighter", "k8s:org=empire")),
  landing(end(302, "xwing", "k8s:class=xwing", "k8s:org=alliance")),
];

describe("policy commands without an agent", () => {
  const folder = mkdtempSync(join(tmpdir(), "skep-policy-"));
  const at = (...names: string[]): string => join(folder, ...names);
  const flows = at("flows.jsonl");

  beforeAll(() => {
    for (const name of ["policies", "other", "tests", "broken"]) mkdirSync(at(name));
    writeFileSync(at("policies", "pods.yaml"), pods);
    writeFileSync(at("policies", "landing.yaml"), policy("empire"));
    writeFileSync(at("other", "landing.yaml"), policy("alliance"));
    writeFileSync(at("tests", "landing.yaml"), suite);
    writeFileSync(at("broken", "landing.yaml"), policy("empire").replace("toPorts", "toPort"));
    writeFileSync(flows, recorded.map((each) => `{"flow":${jsonLine(flow.FlowSchema, each)}}\n`).join(""));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("check: files with their problems, and a caret", async () => {
    expect(await skep("policy", "check", at("policies"))).toMatchObject({
      status: 0,
      stdout: "2 files, 1 policy, 0 errors, 0 warnings\n",
    });
    const { status, stdout } = await skep("policy", "check", at("broken"));
    expect(status).toBe(1);
    expect(stdout).toContain(
      `${at("broken", "landing.yaml")}:10:7: error SKEP6003: spec.ingress[0].toPort: unknown field`,
    );
    expect(stdout).toMatch(/\n10 \| {7}toPort: .*\n {3}\| {7}\^~{5}\n {2}hint: did you mean toPorts/);
    writeFileSync(
      at("broken", "nobody.yaml"),
      `${pods}---\n${policy("rebels").replace("name: landing", "name: rebels")}`,
    );
    const warned = await skep("policy", "check", at("broken", "nobody.yaml"));
    expect(warned).toMatchObject({ status: 0, stdout: expect.stringContaining("warning") as string });
    expect((await skep("policy", "check", "--strict", at("broken", "nobody.yaml"))).status).toBe(1);
    expect((await skep("policy", "check", at("none"))).status).toBe(2);
  });

  it("trace: the verdict as exit status, and the rule", async () => {
    const ask = (...args: string[]): ReturnType<typeof skep> => skep("policy", "trace", "-f", at("policies"), ...args);
    const allowed = await ask("--src", "tiefighter", "--dst", "deathstar", "--dport", "80/TCP");
    expect(allowed.status).toBe(0);
    expect(allowed.stdout).toMatch(/^default\/tiefighter -> default\/deathstar 80\/TCP: allowed\n/);
    expect(allowed.stdout).toContain("landing.yaml:9");
    const denied = await ask("--src", "org=alliance", "--dst", "deathstar", "--dport", "80");
    expect(denied.status).toBe(1);
    expect(denied.stdout).toContain("ingress denied (no rule allows it)");
    expect(await ask("--src", "x", "--dst", "deathstar", "--dport", "80")).toMatchObject({ status: 1 });
    expect(await ask("--src", "xwing", "--dst", "deathstar", "--dport", "eighty")).toMatchObject({ status: 2 });
    const bad = await ask("--src", "xwing", "--dst", "deathstar", "--dport", "80", "--http", "GET");
    expect(bad).toMatchObject({ status: 2 });
  });

  it("test: in text, TAP and JUnit", async () => {
    expect(await skep("policy", "test", at("tests"))).toMatchObject({
      status: 0,
      stdout: expect.stringContaining("2 tests, 0 failed\n") as string,
    });
    writeFileSync(at("tests", "landing.yaml"), suite.replace("[../policies]", "[../policies/pods.yaml, ../other]"));
    const failed = await skep("policy", "test", at("tests"));
    expect(failed.status).toBe(1);
    expect(failed.stdout).toContain("FAIL the alliance does not");
    const tap = (await skep("policy", "test", at("tests"), "-o", "tap")).stdout;
    expect(tap).toMatch(/^TAP version 14\n1\.\.2\nnot ok 1/);
    expect((await skep("policy", "test", at("tests"), "-o", "junit")).stdout).toContain(
      '<testsuites tests="2" failures="2">',
    );
    writeFileSync(at("tests", "landing.yaml"), suite);
    expect((await skep("policy", "test", at("policies"))).status).toBe(2);
    writeFileSync(at("tests", "wrong.yaml"), suite.replace("verdict: denied", "verdict: maybe"));
    expect(await skep("policy", "test", at("tests", "wrong.yaml"))).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("wrong.yaml:7:") as string,
    });
    rmSync(at("tests", "wrong.yaml"));
  });

  it("test --watch: again at every change", async () => {
    const lines: string[] = [];
    const write = process.stdout.write.bind(process.stdout);
    process.stdout.write = (chunk: string | Uint8Array) => lines.push(String(chunk)) > 0;
    try {
      const watching = main(["policy", "test", at("tests"), "--watch"]);
      const seen = async (text: string): Promise<void> => {
        while (!lines.join("").includes(text)) await new Promise((resolve) => setTimeout(resolve, 5));
      };
      await seen("2 tests, 0 failed");
      writeFileSync(at("policies", "landing.yaml"), policy("alliance"));
      await seen("2 tests, 2 failed");
      process.emit("SIGINT", "SIGINT");
      expect(await watching).toBe(0);
    } finally {
      process.stdout.write = write;
      writeFileSync(at("policies", "landing.yaml"), policy("empire"));
    }
  });

  it("diff: what changes between two sets", async () => {
    const { status, stdout } = await skep("policy", "diff", at("policies"), at("other"), "--exit-code");
    expect(status).toBe(1);
    expect(stdout).toMatch(/default\/xwing +default\/deathstar +80\/TCP +denied +allowed/);
    expect(stdout).toMatch(/default\/tiefighter +default\/deathstar +80\/TCP +allowed +denied/);
    expect(await skep("policy", "diff", at("policies"), at("policies"), "--exit-code")).toMatchObject({ status: 0 });
    expect(await skep("policy", "diff", at("other"), at("other"))).toMatchObject({ status: 2 });
  });

  it("simulate and suggest: over recorded flows", async () => {
    const simulated = await skep("policy", "simulate", "-f", at("policies"), "--flows", flows, "--exit-code");
    expect(simulated.status).toBe(1);
    expect(simulated.stdout).toMatch(/default\/xwing +default\/deathstar +80\/TCP +allowed -> denied/);
    expect(simulated.stdout).toContain("2 flows, 1 change their verdict");
    const { status, stdout, stderr } = await skep("policy", "suggest", "--flows", flows);
    expect(status).toBe(0);
    expect(stderr).toMatch(/^skep: \d policies for 2 flows; of these, replayed, 0 are denied\n$/);
    writeFileSync(at("suggested.yaml"), stdout);
    const replayed = await skep("policy", "simulate", "-f", at("suggested.yaml"), "--flows", flows, "--exit-code");
    expect(replayed.status).toBe(0);
    writeFileSync(flows, "no flow\n");
    expect(await skep("policy", "suggest", "--flows", flows)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("flows.jsonl:1:1") as string,
    });
  });
});

describe("policy commands with an agent", () => {
  let agent: FakeAgent;
  beforeAll(async () => {
    const endpoint = (id: number, name: string, labels: Record<string, string>): object => ({
      ...{ id, name, namespace: "default", identity: 200 + id },
      labels: Object.fromEntries(Object.entries(labels).map(([key, value]) => [`k8s:${key}`, value])),
    });
    agent = await fakeAgent({
      getPolicy: () => ({ rules: [{ file: "/etc/skep/p.yaml", line: 3, text: policy("empire") }] }),
      listEndpoints: () => ({
        endpoints: [endpoint(1, "deathstar", { class: "deathstar" }), endpoint(2, "xwing", { org: "alliance" })],
      }),
    });
    for (const each of recorded) agent.flows.add(recordOfFlow(each));
  });
  afterAll(() => agent.close());

  it("trace asks what it enforces", async () => {
    const { status, stdout } = await skep(
      ...["policy", "trace", "--run", agent.run, "--src", "xwing", "--dst", "deathstar", "--dport", "80"],
    );
    expect(status).toBe(1);
    expect(stdout).toContain("/etc/skep/p.yaml:11");
  });

  it("suggest reads its ring", async () => {
    const { status, stdout } = await skep("policy", "suggest", "--run", agent.run);
    expect(status).toBe(0);
    expect(stdout).toContain("class: xwing");
  });
});
