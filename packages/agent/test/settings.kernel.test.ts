// How policies are enforced, through the agent: modes, audit, the host's firewall; kept over restarts.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { lookupEntry } from "@skep/policy";
import { openLinux, unmountPins, type LinuxMachine } from "@skep/linux";
import { Agent } from "../src/agent.ts";
import type { AgentOptions } from "../src/options.ts";
import { createLogger } from "../src/log.ts";

const privileged = process.getuid?.() === 0;
if (!privileged) console.warn("skipped: the agent's settings need root and BPF");

const policy = `
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: { name: only-friends }
spec:
  endpointSelector: { matchLabels: { app: server } }
  ingress:
    - fromEndpoints: [{ matchLabels: { app: friend } }]
      toPorts: [{ ports: [{ port: web, protocol: TCP }] }]
`;

describe.skipIf(!privileged)("the agent's settings", () => {
  let folder: string;
  let outer: LinuxMachine;
  let machine: LinuxMachine;
  let agent: Agent;
  let cgroup: string;
  let lines: string[];

  const start = (over: Partial<AgentOptions> = {}): Agent => {
    lines = [];
    agent = new Agent({
      ...{ machine, directory: join(folder, "policies"), run: folder, state: join(folder, "state") },
      ...{ pins: join(folder, "bpf"), cgroup, podCidr: "10.244.0.0/24", serviceCidr: "10.96.0.0/24" },
      log: createLogger({ write: (line) => lines.push(line), now: () => 0, format: "text" }),
      ...over,
    });
    return agent;
  };

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "skep-settings-"));
    cgroup = `skep-settings-${process.pid}-${folder.slice(-6)}`;
    mkdirSync(join(folder, "policies"));
    writeFileSync(join(folder, "policies", "p.yaml"), policy);
    outer = openLinux({ runFolder: folder });
    machine = openLinux({ runFolder: folder, netns: outer.net.createNamespace("host").path });
  });
  afterEach(async () => {
    for (const { endpoint } of agent.endpoints()) await agent.removeEndpoint(endpoint);
    agent.datapath.destroy();
    agent.close();
    unmountPins(join(folder, "bpf"));
    await machine.processes.deleteCgroup(cgroup);
    for (const name of outer.net.namespaces()) outer.net.deleteNamespace(name);
    rmSync(folder, { recursive: true, force: true });
  });

  const join2 = (name: string): number => {
    const namedPorts = name === "server" ? [{ name: "web", protocol: 6, port: 8080 }] : [];
    return agent.createEndpoint({ namespace: "default", name, labels: { app: name }, namedPorts }).endpoint.id;
  };
  const verdict = (server: number, peer: number, port = 8080): string => {
    const identity = agent.world.endpoint(peer)?.identity ?? 0;
    const entries = agent.datapath.policyOf(server) ?? [];
    const entry = lookupEntry({ entries }, { direction: "ingress", identity, protocol: 6, port });
    return !entry || entry.deny ? "denied" : entry.audit ? "audited" : "allowed";
  };

  it("are in force at once, on disk, and read by the next agent", () => {
    start();
    const [server, friend, stranger] = [join2("server"), join2("friend"), join2("stranger")];
    expect(verdict(server, friend)).toBe("allowed");
    expect(verdict(server, stranger)).toBe("denied");
    expect(verdict(friend, stranger)).toBe("allowed");

    agent.configure({ enforcement: "always" });
    expect(verdict(friend, stranger)).toBe("denied");
    agent.configure({ enforcement: "never" });
    expect(verdict(server, stranger)).toBe("allowed");
    agent.configure({ enforcement: "default", auditNamespaces: ["default"] });
    expect(verdict(server, stranger)).toBe("audited");
    agent.configure({ auditNamespaces: [] });

    const endpoint = agent.world.endpoint(server);
    if (!endpoint) throw new Error("the server is gone");
    expect(agent.setAudit(endpoint, true).endpoint.audit).toBe(true);
    expect(verdict(server, stranger)).toBe("audited");
    agent.configure({ enforcement: "always" });
    agent.close();

    start();
    expect(agent.settings).toEqual({ enforcement: "always", auditNamespaces: [] });
    expect(agent.datapath.adopted.restarted).toBe(true);
    expect(agent.world.endpoint(server)).toMatchObject({ audit: true, namedPorts: [{ name: "web", port: 8080 }] });
    expect(verdict(server, stranger)).toBe("audited");
    expect(verdict(friend, stranger)).toBe("denied");
  });

  it("a new identity reaches the map by single entries, without a swap", () => {
    start();
    const server = join2("server");
    const revision = agent.appliedRevision;
    const entries = agent.datapath.policyOf(server)?.length ?? 0;
    /** Which inner map holds the server's policy, and how many entries it has. */
    const inner = (): { id: number; entries: number } => {
      const outer = machine.bpf.openMap(join(folder, "bpf", "maps", "skep_policy"));
      const map = outer?.getMap(new Uint8Array(Uint32Array.of(server).buffer));
      const seen = { id: map?.info.id ?? 0, entries: [...(map?.entries() ?? [])].length };
      map?.close();
      outer?.close();
      return seen;
    };
    const before = inner();
    const friend = join2("friend");
    expect(verdict(server, friend)).toBe("allowed");
    expect(agent.appliedRevision).toBeGreaterThan(revision);
    expect(agent.datapath.policyOf(server)?.length).toBe(entries + 1);
    expect(before.id).toBeGreaterThan(0);
    expect(inner()).toEqual({ id: before.id, entries: before.entries + 1 });
  });

  it("the host's firewall is asked where it is on, and says when it is off", () => {
    start({ hostFirewall: true, nodeLabels: { role: "edge" } });
    const server = join2("server");
    expect(agent.datapath.policyOf(65_535)).not.toBeNull();
    writeFileSync(
      join(folder, "policies", "node.yaml"),
      `
apiVersion: cilium.io/v2
kind: CiliumClusterwideNetworkPolicy
metadata: { name: node }
spec:
  nodeSelector: { matchLabels: { role: edge } }
  ingress: [{ fromEndpoints: [{ matchLabels: { app: friend } }] }]
`,
    );
    agent.close();
    start({ hostFirewall: true, nodeLabels: { role: "edge" } });
    expect(verdict(65_535, server)).toBe("denied");
    agent.close();
    start();
    expect(agent.datapath.policyOf(65_535)).toBeNull();
  });
});
