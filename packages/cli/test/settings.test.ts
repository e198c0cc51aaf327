import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type FakeAgent, fakeAgent, notFound } from "./fake-agent.ts";
import { skep } from "./in-process.ts";

let agent: FakeAgent;
const asked: unknown[] = [];

beforeAll(async () => {
  agent = await fakeAgent({
    getSettings: () => ({
      settings: { enforcement: "always", auditNamespaces: ["staging", "test"] },
      hostFirewall: true,
      nodeLabels: { role: "edge" },
    }),
    setSettings: ({ enforcement, auditNamespaces }) => {
      asked.push({ enforcement, names: auditNamespaces?.names ?? null });
      return { settings: { enforcement, auditNamespaces: auditNamespaces?.names ?? [] } };
    },
    setAudit: ({ endpoint, audit }) => {
      if (endpoint === "nobody") throw notFound(endpoint);
      asked.push({ endpoint, audit });
      return { endpoint: { namespace: "default", name: endpoint, audit } };
    },
    setBackendState: ({ address, port, protocol, state }) => {
      asked.push({ address, port, protocol, state });
      return { services: ["default/web", "shop/web"] };
    },
  });
});
afterAll(() => agent.close());

const ask = (...args: string[]): ReturnType<typeof skep> => skep(...args, "--run", agent.run);

describe("skep config", () => {
  it("shows the settings", async () => {
    const { status, stdout } = await ask("config", "get");
    expect(status).toBe(0);
    expect(stdout.split("\n").map((line) => line.replace(/\s+/g, " ").trim())).toEqual([
      "policy-enforcement always",
      "audit-namespaces staging,test",
      "host-firewall on",
      "node-labels role=edge",
      "",
    ]);
    expect(JSON.parse((await ask("config", "get", "-o", "json")).stdout)).toEqual({
      ...{ policy_enforcement: "always", audit_namespaces: ["staging", "test"] },
      ...{ host_firewall: true, node_labels: { role: "edge" } },
    });
  });

  it("changes what is given, and only that", async () => {
    asked.length = 0;
    expect((await ask("config", "set", "policy-enforcement=never")).status).toBe(0);
    expect((await ask("config", "set", "audit-namespaces=a,b", "policy-enforcement=default")).status).toBe(0);
    expect((await ask("config", "set", "audit-namespaces=")).status).toBe(0);
    expect(asked).toEqual([
      { enforcement: "never", names: null },
      { enforcement: "default", names: ["a", "b"] },
      { enforcement: "", names: [] },
    ]);
  });

  it.each([
    ["policy-enforcement=sometimes", "default, always, never"],
    ["colour=red", "is no setting"],
    ["policy-enforcement", "is no setting"],
  ])("refuses %s", async (text, message) => {
    const { status, stderr } = await ask("config", "set", text);
    expect(status).toBe(2);
    expect(stderr).toContain(message);
  });
});

describe("skep endpoint audit", () => {
  it("turns it on and off", async () => {
    asked.length = 0;
    expect((await ask("endpoint", "audit", "web", "on")).status).toBe(0);
    expect((await ask("endpoint", "audit", "web", "off")).status).toBe(0);
    expect(asked).toEqual([
      { endpoint: "web", audit: true },
      { endpoint: "web", audit: false },
    ]);
  });

  it("knows no other state and no other workload", async () => {
    expect((await ask("endpoint", "audit", "web", "maybe")).status).toBe(2);
    const { status, stderr } = await ask("endpoint", "audit", "nobody", "on");
    expect(status).toBe(1);
    expect(stderr).toContain("nobody");
  });
});

describe("skep service backend", () => {
  it("gives a backend a state", async () => {
    asked.length = 0;
    const first = await ask("service", "backend", "10.244.0.2:8080", "quarantined");
    expect([first.status, first.stderr]).toEqual([
      0,
      "skep: 10.244.0.2:8080/TCP: quarantined, in force for default/web, shop/web\n",
    ]);
    const second = await ask("service", "backend", "[fd00:0::2]:53/udp", "active");
    expect(second.stderr).toBe("skep: [fd00::2]:53/UDP: active, in force for default/web, shop/web\n");
    expect(asked).toEqual([
      { address: "10.244.0.2", port: 8080, protocol: "TCP", state: "quarantined" },
      { address: "fd00::2", port: 53, protocol: "UDP", state: "active" },
    ]);
  });

  it.each([
    ["10.244.0.2", "active", '"10.244.0.2" is no backend: ADDRESS:PORT'],
    ["10.244.0.2:80/ICMP", "active", "is no backend"],
    ["10.244.0.2:80", "terminating", "Allowed choices are active, quarantined, maintenance"],
  ])("refuses %s %s", async (backend, state, message) => {
    const { status, stderr } = await ask("service", "backend", backend, state);
    expect(status).toBe(2);
    expect(stderr).toContain(message);
  });
});
