// Sockets of two workloads, spliced on the simulated machine.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findLayer, parsePacket } from "@skep/net";
import { openSim, type SimMachine } from "@skep/sim";
import { Agent, createLogger } from "../src/index.ts";

describe("sockets of two workloads, spliced", () => {
  let folder: string;
  let machine: SimMachine;
  let agent: Agent;

  const start = (socketSplice: boolean): Agent =>
    new Agent({
      ...{ machine, directory: join(folder, "policies"), run: folder, state: join(folder, "state"), watch: false },
      ...{ pins: "/sys/fs/bpf/skep", cgroup: "skep", podCidr: "10.244.0.0/16", serviceCidr: "10.96.0.0/16" },
      ...{
        log: createLogger({ write: () => undefined, now: () => machine.clock.now(), format: "json" }),
        socketSplice,
      },
    });
  const put = (name: string, text: string): void => writeFileSync(join(folder, "policies", name), text);
  const workload = (name: string) => {
    const { endpoint, record } = agent.createEndpoint({ name, namespace: "default", labels: { app: name } });
    const namespace = machine.net.openNamespace(record.netns);
    if (!namespace) throw new Error(record.netns);
    return { endpoint, namespace, cgroup: machine.processes.cgroup(agent.cgroupPath(record)) };
  };
  /** A connection between two new workloads: what either has got, and the frames with data at the server. */
  const pair = async () => {
    const [server, client] = [workload("server"), workload("client")];
    const got = { server: "", client: "", frames: 0 };
    let back: ((text: string) => void) | null = null;
    server.namespace.stack.tcp.listen({ port: 80, cgroup: server.cgroup }, (connection) => {
      connection.onData = (data) => void (got.server += new TextDecoder().decode(data));
      back = (text) => connection.write(new TextEncoder().encode(text));
    });
    const to = { address: server.endpoint.address, port: 80 };
    const connection = await machine.simulation.run(
      client.namespace.stack.tcp.connect(to, { cgroup: client.cgroup, timeout: 1000 }),
    );
    connection.onData = (data) => void (got.client += new TextDecoder().decode(data));
    await machine.simulation.pass(10);
    const eth0 = server.namespace.interface("eth0");
    const device = eth0 && server.namespace.device(eth0.index);
    if (!device) throw new Error("no eth0");
    device.taps.add(({ bytes }) => {
      if (findLayer(parsePacket(bytes), "payload")) got.frames += 1;
    });
    const say = async (text: string): Promise<void> => {
      connection.write(new TextEncoder().encode(text));
      await machine.simulation.pass(10);
    };
    const answer = async (text: string): Promise<void> => {
      back?.(text);
      await machine.simulation.pass(10);
    };
    return { got, say, answer };
  };

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "skep-splice-"));
    mkdirSync(join(folder, "policies"));
    machine = openSim();
  });
  afterEach(async () => {
    for (const { endpoint } of agent.endpoints()) await agent.removeEndpoint(endpoint);
    agent.datapath.destroy();
    agent.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it("send to each other, and nothing on the wire", async () => {
    agent = start(true);
    const { got, say, answer } = await pair();
    await say("one ");
    await say("two");
    await answer("three");
    expect(got).toEqual({ server: "one two", client: "three", frames: 0 });
    expect(agent.datapath.spliceCounts()).toEqual({ messages: 3, bytes: 12, sockets: 2, network: 0 });
  });

  it("go through the network where nobody asked for it", async () => {
    agent = start(false);
    const { got, say } = await pair();
    await say("one");
    expect(got).toMatchObject({ server: "one" });
    expect(got.frames).toBeGreaterThan(0);
    expect(agent.datapath.spliceCounts()).toBeNull();
  });

  it("are asked of the policy again when it changes, and then by their packets", async () => {
    agent = start(true);
    const { got, say } = await pair();
    await say("one ");
    put(
      "deny.yaml",
      `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: { name: deny }
spec: { endpointSelector: { matchLabels: { app: server } }, ingressDeny: [{ fromEndpoints: [{}] }] }
`,
    );
    agent.rescan();
    await say("two ");
    expect(got.server).toBe("one ");
    expect(agent.datapath.spliceCounts()).toMatchObject({ messages: 1, network: 1 });
    rmSync(join(folder, "policies", "deny.yaml"));
    agent.rescan();
    await machine.simulation.pass(60_000);
    expect(got.server).toBe("one two ");
    await say("three");
    expect(got.server).toBe("one two three");
    expect(agent.datapath.spliceCounts()).toMatchObject({ messages: 1 });
  });

  it("are never spliced where a policy only reports", async () => {
    agent = start(true);
    put(
      "audit.yaml",
      `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: { name: audit, annotations: { "policy.skep.io/audit": "true" } }
spec: { endpointSelector: { matchLabels: { app: server } }, ingressDeny: [{ fromEndpoints: [{}] }] }
`,
    );
    agent.rescan();
    const { got, say } = await pair();
    await say("one");
    expect(got.server).toBe("one");
    expect(agent.datapath.spliceCounts()).toMatchObject({ messages: 0, sockets: 2, network: 1 });
  });
});
