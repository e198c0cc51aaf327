// Backends that are taken out of what new connections get, by the agent's API, and by the agent that comes after.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client, Code, createClient, createRouterTransport } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { skep } from "@skep/api";
import { Observer } from "@skep/flows";
import { formatAddress, parseAddress } from "@skep/net";
import { openSim, type SimMachine } from "@skep/sim";
import { Agent, createLogger } from "../src/index.ts";
import { agentRoutes } from "../src/service.ts";

const SERVICE = `apiVersion: v1
kind: Service
metadata: {name: names}
spec: {clusterIP: 10.96.0.9, ports: [{port: 53, protocol: UDP}]}
`;
const slice = (...addresses: readonly string[]): string => `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: names-1, labels: {kubernetes.io/service-name: names}}
addressType: IPv4
endpoints: [${addresses.map((address) => `{addresses: [${address}]}`).join(", ")}]
ports: [{port: 5353, protocol: UDP}]
`;
const [A, B] = ["192.0.2.10", "192.0.2.11"];
const vip = parseAddress("10.96.0.9");

describe("states of backends over the API", () => {
  let folder: string;
  let machine: SimMachine;
  let agent: Agent;
  let api: Client<typeof skep.Agent>;

  const start = (): void => {
    agent = new Agent({
      ...{ machine, directory: join(folder, "policies"), run: folder, state: join(folder, "state"), watch: false },
      ...{ pins: "/sys/fs/bpf/skep", cgroup: "skep", podCidr: "10.244.0.0/16", serviceCidr: "10.96.0.0/16" },
      log: createLogger({ write: () => undefined, now: () => machine.clock.now(), format: "json" }),
    });
    const flows = new Observer({ nodeName: "n", version: "1", now: () => 0n });
    api = createClient(
      skep.Agent,
      createRouterTransport((router) => agentRoutes(router, agent, { flows })),
    );
  };
  const put = (name: string, text: string): void => writeFileSync(join(folder, "policies", name), text);
  const set = (address: string, state: string, protocol = "udp"): Promise<unknown> =>
    api.setBackendState({ address, port: 5353, protocol, state });
  const states = async (): Promise<Record<string, string>> => {
    const { services } = await api.listServices({});
    return Object.fromEntries(
      services.flatMap(({ backends }) => backends.map(({ address, state }) => [address, state])),
    );
  };
  /** Of a client's new sockets; null: the service has none. */
  const chosen = (): Set<string | null> => {
    const [client] = agent.endpoints();
    const namespace = client && machine.net.openNamespace(client.record.netns);
    if (!namespace || !vip) throw new Error("no client");
    const cgroup = machine.processes.cgroup(agent.cgroupPath(client.record));
    return new Set(
      Array.from({ length: 32 }, () => {
        const socket = namespace.stack.udp.open({ cgroup });
        try {
          socket.connect({ address: vip, port: 53 });
          return socket.sock.remote ? formatAddress(socket.sock.remote.address) : null;
        } catch (error) {
          if (!(error instanceof Error) || !error.message.includes("EHOSTUNREACH")) throw error;
          return null;
        } finally {
          socket.close();
        }
      }),
    );
  };

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "skep-states-"));
    mkdirSync(join(folder, "policies"));
    machine = openSim({ seed: 1 });
    put("service.yaml", SERVICE);
    put("slice.yaml", slice(A, B));
    start();
    agent.createEndpoint({ name: "client", namespace: "default", labels: { app: "client" } });
  });
  afterAll(async () => {
    for (const { endpoint } of agent.endpoints()) await agent.removeEndpoint(endpoint);
    agent.datapath.destroy();
    agent.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it("are in force when it answers, and outlive the agent until the backend is gone", async () => {
    expect(chosen()).toEqual(new Set([A, B]));
    for (const state of ["quarantined", "maintenance"]) {
      expect(await set(A, state)).toMatchObject({
        services: ["default/names"],
        backend: { address: A, port: 5353, protocol: "UDP", state },
      });
      expect(chosen()).toEqual(new Set([B]));
      expect(await states()).toEqual({ [A]: state, [B]: "active" });
      await set(A, "active");
      expect(chosen()).toEqual(new Set([A, B]));
    }
    await set(A, "quarantined");
    await set(B, "maintenance");
    expect(chosen()).toEqual(new Set([null]));
    put("slice.yaml", slice(B));
    agent.rescan();
    agent.close();
    start();
    expect(chosen()).toEqual(new Set([null]));
    put("slice.yaml", slice(A, B));
    agent.rescan();
    expect(await states()).toEqual({ [A]: "active", [B]: "maintenance" });
    expect(chosen()).toEqual(new Set([A]));
  });

  it("are refused where they cannot be", async () => {
    put("slice.yaml", slice(A, B));
    agent.rescan();
    await set(A, "quarantined");
    await set(B, "active");
    const refused = async (asked: Promise<unknown>, code: Code, message: RegExp): Promise<void> =>
      expect(asked).rejects.toMatchObject({ code, rawMessage: expect.stringMatching(message) as string });
    await refused(
      set(A, "maintenance"),
      Code.FailedPrecondition,
      /192\.0\.2\.10:5353\/UDP is quarantined: maintenance follows on active/,
    );
    await refused(set(A, "active", ""), Code.NotFound, /no service has the backend 192\.0\.2\.10:5353\/TCP/);
    await refused(set(A, "terminating"), Code.InvalidArgument, /"terminating" is no state .*: active, quarantined/);
    await refused(set("names", "active"), Code.InvalidArgument, /"names" is no address/);
    await refused(set(A, "active", "ICMP"), Code.InvalidArgument, /"ICMP" is not TCP, UDP or SCTP/);
    await refused(
      api.setBackendState({ address: A, port: 70_000, state: "active" }),
      Code.InvalidArgument,
      /70000 is no port/,
    );
    expect(await states()).toEqual({ [A]: "quarantined", [B]: "active" });
  });
});
