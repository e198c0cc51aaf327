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
