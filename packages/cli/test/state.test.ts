import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { type FakeAgent, fakeAgent, notFound } from "./fake-agent.ts";
import { skep } from "./in-process.ts";

const endpoint = {
  id: 3,
  name: "xwing",
  namespace: "default",
  labels: { org: "alliance", class: "xwing" },
  identity: 700,
  identityLabels: ["k8s:class=xwing", "k8s:io.kubernetes.pod.namespace=default", "k8s:org=alliance"],
  ipv4: "10.244.0.3",
  interface: "skep3",
  state: "ready",
  policyRevision: 4n,
  ingressEnforced: true,
};
const broken = { ...endpoint, id: 4, name: "ywing", state: "not-ready", reason: "the map is full" };

let agent: FakeAgent;

beforeAll(async () => {
  agent = await fakeAgent({
    getStatus: () => ({
      version: "0.1.0",
      nodeName: "endor",
      startedAt: BigInt(Date.now() - 200_000),
      machine: "linux",
      podCidr: "10.244.0.0/16",
      policyRevision: 4n,
      endpoints: 2,
      identities: 12,
      services: 1,
      flowsSeen: 10n,
      eventsLost: 1n,
      pid: 77,
      directory: "/etc/skep",
      counters: [
        { reason: 0, reasonName: "Forwarded", direction: "egress", packets: 100n, bytes: 1n },
        { reason: 133, reasonName: "Policy denied", direction: "ingress", packets: 7n, bytes: 1n },
        { reason: 133, reasonName: "Policy denied", direction: "egress", packets: 2n, bytes: 1n },
      ],
      errors: [
        { file: "/etc/skep/a.yaml", line: 3, column: 7, code: "SKEP6001", message: "no such field", hint: "remove it" },
      ],
      warnings: ["something is odd"],
      dns: { entries: 3, learned: 4n, empty: 2n, malformed: 1n, tooLong: 0n, evicted: 5n },
    }),
    listEndpoints: () => ({ endpoints: [endpoint, broken] }),
    listNodes: () => ({
      nodes: [
        { name: "endor", local: true, addresses: ["192.0.2.1"], podCidrs: ["10.244.0.0/24"], endpoints: 2 },
        {
          ...{ name: "hoth", addresses: ["192.0.2.2"], podCidrs: ["10.244.1.0/24"], endpoints: 1 },
          ...{ routing: "vxlan", tunnelEndpoint: "192.0.2.2", labels: { zone: "ice" } },
        },
        { name: "dagobah", addresses: ["192.0.2.9"], routing: "vxlan", problem: "dagobah (192.0.2.9) is no neighbour" },
      ],
    }),
    listDnsNames: () => ({
      names: [
        {
          ...{ endpoint: 3, fqdn: "api.example.com.", ttl: 30, ips: ["192.0.2.1", "192.0.2.2"] },
          ...{ lookupTime: 1_000n, expirationTime: 3_601_500n },
        },
        { endpoint: 4, fqdn: "example.org.", ttl: 7200, ips: ["2001:db8::1"], expirationTime: 7_200_000n },
      ],
    }),
    listIdentities: () => ({ identities: [{ id: 700, labels: ["k8s:class=xwing", "k8s:org=alliance"] }] }),
    listServices: () => ({
      services: [
        {
          id: 1,
          namespace: "default",
          name: "deathstar",
          type: "ClusterIP",
          address: "10.96.0.10",
          port: 80,
          protocol: "TCP",
          flags: ["non-routable"],
          backends: [
            { address: "10.244.0.1", port: 80, state: "active", workload: "default/deathstar-1" },
            { address: "fd00::2", port: 80, state: "terminating", workload: "" },
          ],
        },
      ],
    }),
    getPolicy: ({ endpoint: name }) => {
      if (name === "nobody") throw notFound(name);
      const rule = {
        kind: "CiliumNetworkPolicy",
        namespace: "default",
        name: "rule1",
        file: "/etc/skep/p.yaml",
        line: 1,
        text: "kind: CiliumNetworkPolicy\n",
        endpoints: ["default/xwing"],
      };
      const entry = {
        direction: "ingress",
        identity: 700,
        labels: ["k8s:org=alliance"],
        protocol: "TCP",
        port: "80",
        verdict: "allow",
        cookie: 4,
        rules: ["default/rule1"],
        precedence: 1,
      };
      return {
        revision: 4n,
        rules: [rule],
        entries: name === "" ? [] : [entry, { ...entry, verdict: "deny", port: "" }],
      };
    },
    waitForPolicy: ({ revision, timeoutMs }) => {
      expect(timeoutMs).toBe(2500);
      return { revision: revision === 0n ? 4n : revision };
    },
  });
});

afterAll(() => agent.close());

const ask = (...args: string[]): ReturnType<typeof skep> => skep(...args, "--run", agent.run);

describe("lists", () => {
  it("of endpoints are a table, without the labels that every workload has", async () => {
    const { status, stdout } = await ask("endpoint", "list");
    expect(status).toBe(0);
    expect(stdout).toBe(
      [
        "ENDPOINT  NAME           INGRESS  EGRESS    IDENTITY (LABELS)                     IPV4        STATUS",
        "3         default/xwing  Enabled  Disabled  700 k8s:class=xwing k8s:org=alliance  10.244.0.3  ready",
        "4         default/ywing  Enabled  Disabled  700 k8s:class=xwing k8s:org=alliance  10.244.0.3  not-ready: the map is full",
        "",
      ].join("\n"),
    );
  });

  it("are JSON and YAML with the same content", async () => {
    const json = JSON.parse((await ask("endpoint", "list", "-o", "json")).stdout) as Record<string, unknown>[];
    expect(json[0]).toMatchObject({
      id: 3,
      name: "xwing",
      ipv4: "10.244.0.3",
      policy_revision: 4,
      egress_enforced: false,
    });
    expect(parse((await ask("endpoint", "list", "-o", "yaml")).stdout)).toEqual(json);
  });

  it("of identities and services", async () => {
    expect((await ask("identity", "list")).stdout).toBe("ID   LABELS\n700  k8s:class=xwing\n     k8s:org=alliance\n");
    expect((await ask("service", "list")).stdout).toBe(
      [
        "ID  Frontend           Service Type  Backend",
        "1   10.96.0.10:80/TCP  ClusterIP     1 => 10.244.0.1:80/TCP (active)",
        "                                     2 => [fd00::2]:80/TCP (terminating)",
        "",
      ].join("\n"),
    );
  });

  it("of one service, by name or by number, with its workloads", async () => {
    const { stdout } = await ask("service", "get", "deathstar");
    expect(stdout).toMatch(/non-routable +1 => 10\.244\.0\.1:80\/TCP \(active\) +default\/deathstar-1\n/);
    expect((await ask("service", "get", "default/deathstar")).stdout).toBe(stdout);
    const json = JSON.parse((await ask("service", "get", "1", "-o", "json")).stdout) as unknown[];
    expect(json).toMatchObject([{ name: "deathstar", flags: ["non-routable"], internal_scope: false }]);
    expect(await ask("service", "get", "alderaan")).toMatchObject({ status: 2 });
  });

  it("of nodes, with what keeps one from being reached; of one", async () => {
    const { stdout } = await skep("node", "list", "--run", agent.run);
    expect(stdout).toMatch(/^NAME +ADDRESSES +POD PREFIXES +ENDPOINTS +ROUTING +TUNNEL +PATH$/m);
    expect(stdout).toMatch(/^endor +192\.0\.2\.1 +10\.244\.0\.0\/24 +2 +this node$/m);
    expect(stdout).toMatch(/^hoth +192\.0\.2\.2 +10\.244\.1\.0\/24 +1 +vxlan +192\.0\.2\.2 +routes stand$/m);
    expect(stdout).toMatch(/^dagobah .* dagobah \(192\.0\.2\.9\) is no neighbour$/m);
    const one = await skep("node", "get", "hoth", "--run", agent.run);
    expect(one.stdout).toMatch(/^Labels:? +zone=ice$/m);
    const none = await skep("node", "get", "naboo", "--run", agent.run);
    expect(none).toMatchObject({ status: 1, stderr: "skep: no node naboo: endor, hoth, dagobah are\n" });
  });

  it("of DNS names, of one endpoint or like a pattern", async () => {
    const head = "Endpoint  Source  FQDN              TTL   ExpirationTime            IPs\n";
    const first = "3         lookup  api.example.com.  30    1970-01-01T01:00:01.500Z  192.0.2.1,192.0.2.2\n";
    const second = "4         lookup  example.org.      7200  1970-01-01T02:00:00.000Z  2001:db8::1\n";
    expect((await ask("fqdn", "cache", "list")).stdout).toBe(head + first + second);
    const one = JSON.parse((await ask("fqdn", "cache", "list", "-e", "3", "-o", "json")).stdout) as unknown;
    expect(one).toEqual([
      {
        ...{ "endpoint-id": 3, "expiration-time": "1970-01-01T01:00:01.500Z", fqdn: "api.example.com." },
        ...{ ips: ["192.0.2.1", "192.0.2.2"], "lookup-time": "1970-01-01T00:00:01.000Z", source: "lookup", ttl: 30 },
      },
    ]);
    expect(parse((await ask("fqdn", "cache", "list", "-p", "*.example.com", "-o", "yaml")).stdout)).toEqual(one);
    expect((await ask("fqdn", "cache", "list", "-p", "*.com")).stdout).not.toContain("example");
    expect(await ask("fqdn", "cache", "list", "-e", "xwing")).toMatchObject({ status: 2 });
  });

  it("refuse another format", async () => {
    expect(await ask("endpoint", "list", "-o", "xml")).toMatchObject({ status: 2 });
  });
});

describe("policy", () => {
  it("shows the policies and whom they select", async () => {
    const { stdout } = await ask("policy", "get");
    expect(stdout).toContain("CiliumNetworkPolicy  default/rule1  /etc/skep/p.yaml:1  default/xwing");
    expect(stdout).toContain("revision 4 is in force");
    expect((await ask("policy", "get", "--text")).stdout).toBe("kind: CiliumNetworkPolicy\n");
  });

  it("shows the entries of an endpoint with their rules", async () => {
    expect((await ask("policy", "get", "xwing")).stdout).toBe(
      [
        "POLICY  DIRECTION  IDENTITY (LABELS)     PORT/PROTO  PRECEDENCE  RULES",
        "Allow   Ingress    700 k8s:org=alliance  80/TCP      1           default/rule1",
        "Deny    Ingress    700 k8s:org=alliance  ANY/TCP     1           default/rule1",
        "",
      ].join("\n"),
    );
  });

  it("says what is not there, in one line", async () => {
    expect(await ask("policy", "get", "nobody")).toEqual({
      status: 1,
      stdout: "",
      stderr: "skep: no endpoint nobody\n",
    });
  });

  it("waits", async () => {
    expect((await ask("policy", "wait", "--timeout", "2.5s")).stdout).toBe("revision 4 is in force\n");
    expect((await ask("policy", "wait", "--revision", "9", "--timeout", "2500ms")).stdout).toBe(
      "revision 9 is in force\n",
    );
    expect(await ask("policy", "wait", "--timeout", "soon")).toMatchObject({ status: 2 });
  });
});

describe("status", () => {
  it("shows the agent, its rows, traffic and what was refused", async () => {
    const { status, stdout } = await ask("status");
    expect(status).toBe(0);
    expect(stdout).toContain("Agent    0.1.0, pid 77, up 3m 20s");
    expect(stdout).toContain("100 packets forwarded, 9 dropped (Policy denied 9)");
    expect(stdout).toContain("/etc/skep/a.yaml:3:7: error SKEP6001: no such field\n    remove it");
    expect(stdout).toContain("warning: something is odd");
    expect(stdout).toContain("default/xwing");
  });

  it("is JSON with plain numbers", async () => {
    const value = JSON.parse((await ask("status", "-o", "json")).stdout) as Record<string, unknown>;
    expect(value).toMatchObject({ policy_revision: 4, flows_seen: 10, pid: 77, errors: [{ line: 3, column: 7 }] });
  });
});

describe("without an agent", () => {
  it("says how to start one", async () => {
    expect(await skep("status", "--run", "/nonexistent/skep")).toEqual({
      status: 1,
      stdout: "",
      stderr: "skep: no agent at /nonexistent/skep/skep.sock: start one with `skep up DIR`\n",
    });
  });
});
