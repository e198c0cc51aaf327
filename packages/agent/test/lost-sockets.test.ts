// A workload's connected socket, when the backend that it was given goes: also while no agent is there.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parseAddress } from "@skep/net";
import { openSim, SimError, type SimMachine, type UdpSocket } from "@skep/sim";
import { Agent, type AgentOptions, createLogger } from "../src/index.ts";

const SERVICE = `apiVersion: v1
kind: Service
metadata: {name: names}
spec: {clusterIP: 10.96.0.9, ports: [{port: 53, protocol: UDP}]}
`;
const slice = (address: string): string => `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: names-1, labels: {kubernetes.io/service-name: names}}
addressType: IPv4
endpoints: [{addresses: [${address}]}]
ports: [{port: 5353, protocol: UDP}]
`;
const ip = (text: string): NonNullable<ReturnType<typeof parseAddress>> => {
  const found = parseAddress(text);
  if (!found) throw new Error(text);
  return found;
};

describe("sockets whose backend is gone", () => {
  let folder: string;
  let machine: SimMachine;
  let agent: Agent;
  let told: string[];

  const start = (over: Partial<AgentOptions> = {}): Agent =>
    new Agent({
      ...{ machine, directory: join(folder, "policies"), run: folder, state: join(folder, "state"), watch: false },
      ...{ pins: "/sys/fs/bpf/skep", cgroup: "skep", podCidr: "10.244.0.0/16", serviceCidr: "10.96.0.0/16" },
      log: createLogger({ write: () => undefined, now: () => machine.clock.now(), format: "json" }),
      ...over,
    });
  const put = (name: string, text: string): void => writeFileSync(join(folder, "policies", name), text);
  const connected = (): UdpSocket => {
    const { record } = agent.createEndpoint({ name: "client", namespace: "default", labels: { app: "client" } });
    const namespace = machine.net.openNamespace(record.netns);
    if (!namespace) throw new Error(record.netns);
    const socket = namespace.stack.udp.open({ cgroup: machine.processes.cgroup(agent.cgroupPath(record)) });
    socket.onError = (error) => told.push(error instanceof SimError ? error.code : error.message);
    socket.connect({ address: ip("10.96.0.9"), port: 53 });
    expect(socket.sock.remote).toMatchObject({ address: ip("192.0.2.10"), port: 5353 });
    return socket;
  };

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "skep-lost-"));
    mkdirSync(join(folder, "policies"));
    machine = openSim();
    told = [];
    put("service.yaml", SERVICE);
    put("slice.yaml", slice("192.0.2.10"));
  });
  afterEach(async () => {
    for (const { endpoint } of agent.endpoints()) await agent.removeEndpoint(endpoint);
    agent.datapath.destroy();
    agent.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it("are ended once, and go to another", () => {
    agent = start();
    const socket = connected();
    put("slice.yaml", slice("192.0.2.11"));
    agent.rescan();
    expect(told).toEqual(["ECONNABORTED"]);
    socket.connect({ address: ip("10.96.0.9"), port: 53 });
    expect(socket.sock.remote).toMatchObject({ address: ip("192.0.2.11") });
    put("service.yaml", SERVICE.replace("53,", "54,"));
    agent.rescan();
    expect(told).toEqual(["ECONNABORTED"]);
  });

  it("are ended by the agent that comes after", () => {
    agent = start();
    connected();
    agent.close();
    rmSync(join(folder, "policies", "slice.yaml"));
    agent = start();
    expect(told).toEqual(["ECONNABORTED"]);
  });

  it("stay where that is asked for", () => {
    agent = start({ lbTerminate: "none" });
    connected();
    rmSync(join(folder, "policies", "slice.yaml"));
    agent.rescan();
    expect(told).toEqual([]);
  });
});
