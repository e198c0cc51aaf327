// Agent events of a running agent, over its API, on the simulated machine.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { flow } from "@skep/api";
import { openSim } from "@skep/sim";
import { createLogger, type RunningAgent, startAgent } from "../src/index.ts";
import { Notices } from "../src/notices.ts";

const policy = (app: string): string => `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: deny, namespace: default}
spec: {endpointSelector: {matchLabels: {app: ${app}}}, ingress: [{}]}
`;

const service = `apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {selector: {app: web}, internalTrafficPolicy: Local, ports: [{port: 80, targetPort: 8080}]}
`;

const nameOf = new Map<number, string>(Object.entries(flow.AgentEventType).map(([name, number]) => [number, name]));

describe("agent events", () => {
  let folder: string;
  let running: RunningAgent;
  let seen: flow.AgentEvent[];
  let notices: Notices;
  const machine = openSim();
  const take = (): string[] => {
    notices.look();
    return seen.splice(0).map(({ type, notification: { value } }) => {
      const { id, cidr, labels, identity, error } = (value ?? {}) as {
        readonly [name in "id" | "cidr" | "identity" | "error"]?: string | number | bigint;
      } & { readonly labels?: readonly string[] };
      const parts = [nameOf.get(type), id ?? cidr, identity, error, labels?.join(",")];
      return parts.filter((part) => part !== undefined && part !== "").join(" ");
    });
  };

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "skep-notices-"));
    mkdirSync(join(folder, "policies"));
    running = await startAgent({
      ...{ machine, directory: join(folder, "policies"), run: folder, state: join(folder, "state"), watch: false },
      ...{ pins: "/sys/fs/bpf/skep", cgroup: "skep", podCidr: "10.244.0.0/16", serviceCidr: "10.96.0.0/16" },
      log: createLogger({ write: () => undefined, now: () => machine.clock.now(), format: "json" }),
    });
    seen = [];
    notices = new Notices(running.agent, 5n, (event) => seen.push(event));
  });
  afterEach(async () => {
    running.agent.datapath.destroy();
    await running.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it("tell the start, and each change of policies, endpoints and addresses once", async () => {
    expect(take()[0]).toBe("AGENT_STARTED");
    expect(take()).toEqual([]);
    const { agent } = running;
    const { endpoint } = agent.createEndpoint({ namespace: "default", name: "web", labels: { app: "web" } });
    const created = take();
    expect(created).toContainEqual(expect.stringMatching(`^ENDPOINT_CREATED ${endpoint.id} k8s:app=web`));
    expect(created).toContainEqual(expect.stringMatching(`^ENDPOINT_REGENERATE_SUCCESS ${endpoint.id} `));
    expect(created).toContainEqual(expect.stringMatching(/^IPCACHE_UPSERTED 10\.244\.\d+\.\d+\/32 \d+$/));
    writeFileSync(join(folder, "policies", "a.yaml"), policy("web"));
    agent.rescan();
    expect(take()[0]).toMatch(/^POLICY_UPDATED k8s:io.cilium.k8s.policy.derived-from=CiliumNetworkPolicy/);
    writeFileSync(join(folder, "policies", "a.yaml"), policy("other"));
    agent.rescan();
    expect(take()[0]).toMatch(/^POLICY_UPDATED /);
    rmSync(join(folder, "policies", "a.yaml"));
    agent.rescan();
    expect(take()[0]).toMatch(/^POLICY_DELETED /);
    await agent.removeEndpoint(endpoint);
    const removed = take();
    expect(removed).toContainEqual(expect.stringMatching(`^ENDPOINT_DELETED ${endpoint.id} `));
    expect(removed).toContainEqual(expect.stringMatching(/^IPCACHE_DELETED 10\.244\./));
  });

  it("tell services with their backends, and whose an address is", () => {
    const { agent } = running;
    take();
    agent.createEndpoint({ namespace: "default", name: "web", labels: { app: "web" } });
    writeFileSync(join(folder, "policies", "s.yaml"), service);
    agent.rescan();
    notices.look();
    const address = seen.find(({ type }) => type === flow.AgentEventType.IPCACHE_UPSERTED)?.notification.value;
    expect(address).toMatchObject({ namespace: "default", podName: "web" });
    const told = seen.splice(0).filter(({ type }) => type === flow.AgentEventType.SERVICE_UPSERTED);
    expect(told).toMatchObject([
      {
        notification: {
          value: {
            ...{ namespace: "default", name: "web", type: "ClusterIP", intTrafficPolicy: "Local" },
            ...{ frontendAddress: { port: 80 }, extTrafficPolicy: "Cluster" },
            backendAddresses: [{ ip: expect.stringMatching(/^10\.244\./) as string, port: 8080 }],
          },
        },
      },
    ]);
    expect(take()).toEqual([]);
    rmSync(join(folder, "policies", "s.yaml"));
    agent.rescan();
    expect(take()).toContainEqual(expect.stringMatching(/^SERVICE_DELETED \d+$/));
  });

  it("tell what could not be put in force", () => {
    const { agent } = running;
    const { endpoint } = agent.createEndpoint({ namespace: "default", name: "web", labels: { app: "web" } });
    take();
    const failing = vi
      .spyOn(agent, "failures", "get")
      .mockReturnValue(new Map([[`endpoint ${endpoint.id}`, "no room"]]));
    expect(take()).toEqual([expect.stringMatching(`^ENDPOINT_REGENERATE_FAILURE ${endpoint.id} no room `)]);
    failing.mockRestore();
  });
});
