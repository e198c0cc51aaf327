// Sockets of two workloads, spliced in the kernel: what goes past the network, and when it does not.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findLayer, formatAddress, parsePacket } from "@skep/net";
import { Agent } from "../src/agent.ts";
import { Cluster, type ClusterGround, type ClusterPod, linuxCluster } from "./cluster-lab.ts";

const privileged = process.getuid?.() === 0;
if (!privileged) console.warn("skipped: splicing sockets needs root and BPF");

const CHILD = fileURLToPath(new URL("splice-child.mjs", import.meta.url));

class Child {
  private readonly process;
  private readonly waiting = new Map<number, (answer: never) => void>();
  private last = 0;

  constructor(netns: string, cgroup: string) {
    this.process = spawn("nsenter", [`--net=${netns}`, process.execPath, CHILD], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    writeFileSync(join(cgroup, "cgroup.procs"), String(this.process.pid));
    createInterface({ input: this.process.stdout }).on("line", (line) => {
      const { id, answer } = JSON.parse(line) as { id: number; answer: never };
      this.waiting.get(id)?.(answer);
      this.waiting.delete(id);
    });
  }

  call<T>(operation: string, values: object = {}): Promise<T> {
    const id = ++this.last;
    return new Promise((resolve) => {
      this.waiting.set(id, resolve);
      this.process.stdin.write(`${JSON.stringify({ id, operation, ...values })}\n`);
    });
  }

  end(): void {
    this.process.stdin.end();
    this.process.kill();
  }
}

const digest = (count: number): string =>
  createHash("sha256")
    .update(Uint8Array.from({ length: count }, (_, at) => at % 251))
    .digest("hex");

interface Received {
  readonly bytes: number;
  readonly digest: string;
}

describe.skipIf(!privileged)("sockets of two workloads, spliced", () => {
  let ground: ClusterGround;
  let cluster: Cluster;
  const children: Child[] = [];
  let port = 4000;

  beforeAll(() => {
    ground = linuxCluster();
    cluster = new Cluster(ground, 1, { agent: () => ({ socketSplice: true }) });
  }, 300_000);
  afterAll(async () => {
    for (const child of children) child.end();
    await cluster?.close();
  });

  const agent = () => {
    const [host] = cluster.hosts;
    if (!host) throw new Error("one host");
    return host;
  };
  const child = (pod: ClusterPod): Child => {
    const { machine, agent: own } = agent();
    const found = own.endpoints().find(({ endpoint }) => endpoint.id === pod.endpoint.id);
    const namespace = found && machine.net.openNamespace(found.record.netns);
    if (!namespace) throw new Error("no namespace");
    const made = new Child(namespace.path, own.cgroupPath(found.record));
    children.push(made);
    return made;
  };
  const until = async (isSo: () => Promise<boolean>): Promise<boolean> => {
    for (const end = performance.now() + 20_000; performance.now() < end;) {
      if (await isSo()) return true;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return false;
  };
  /** Two workloads with a connection between them. */
  const pair = async (name: string, family: 4 | 6, over: Parameters<Cluster["addPod"]>[2] = {}) => {
    const [server, client] = [cluster.addPod(0, `${name}-s`, over), cluster.addPod(0, `${name}-c`)];
    const [serving, asking] = [child(server), child(client)];
    const at = ++port;
    const address = family === 4 ? server.endpoint.address : server.endpoint.address6;
    if (!address) throw new Error("no address");
    await serving.call("serve", { port: at, family });
    expect(await asking.call("connect", { address: formatAddress(address), port: at })).toBe("connected");
    expect(await until(() => serving.call<boolean>("connected"))).toBe(true);
    return { server, client, serving, asking };
  };
  const counts = () => agent().agent.datapath.spliceCounts() ?? { messages: 0, bytes: 0, sockets: 0, network: 0 };
  const payloads = (pod: ClusterPod): number =>
    pod.port.read().filter((frame) => {
      const packet = parsePacket(frame);
      return findLayer(packet, "tcp") !== null && findLayer(packet, "payload") !== null;
    }).length;
  const has = (of: Child, count: number): Promise<boolean> =>
    until(async () => (await of.call<Received>("received")).bytes === count);

  it.each([4, 6] as const)(
    "IPv%i: all bytes, in both directions, and none on the wire",
    async (family) => {
      const before = counts();
      const { server, client, serving, asking } = await pair(`plain${family}`, family);
      payloads(server);
      payloads(client);
      await asking.call("send", { from: 0, count: 1_000_000 });
      await serving.call("send", { from: 0, count: 300_000 });
      expect(await has(serving, 1_000_000)).toBe(true);
      expect(await has(asking, 300_000)).toBe(true);
      expect((await serving.call<Received>("received")).digest).toBe(digest(1_000_000));
      expect((await asking.call<Received>("received")).digest).toBe(digest(300_000));
      const after = counts();
      expect(after.bytes - before.bytes).toBe(1_300_000);
      expect(after.network).toBe(before.network);
      expect(after.sockets - before.sockets).toBe(2);
      expect([payloads(server), payloads(client)]).toEqual([0, 0]);
    },
    60_000,
  );

  it("a policy that is taken away ends it at once, and what it denies does not arrive", async () => {
    const { serving, asking } = await pair("denied", 4);
    await asking.call("send", { from: 0, count: 10_000 });
    expect(await has(serving, 10_000)).toBe(true);
    const before = counts();
    writeFileSync(
      join(ground.folder, "documents", "deny.yaml"),
      `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: { name: deny }
spec: { endpointSelector: { matchLabels: { app: denied-s } }, ingressDeny: [{ fromEndpoints: [{}] }] }
`,
    );
    agent().agent.rescan();
    void asking.call("send", { from: 10_000, count: 10_000 });
    expect(await until(() => Promise.resolve(counts().network > before.network))).toBe(true);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect((await serving.call<Received>("received")).bytes).toBe(10_000);
    expect(counts().bytes).toBe(before.bytes);
    writeFileSync(join(ground.folder, "documents", "deny.yaml"), "");
    agent().agent.rescan();
    expect(await has(serving, 20_000)).toBe(true);
    expect((await serving.call<Received>("received")).digest).toBe(digest(20_000));
  }, 300_000);

  it("goes on while no agent is there, and by the network with the next one", async () => {
    const { server, serving, asking } = await pair("outlives", 4);
    payloads(server);
    await asking.call("send", { from: 0, count: 1000 });
    expect(await has(serving, 1000)).toBe(true);
    const host = agent();
    host.agent.close();
    await asking.call("send", { from: 1000, count: 1000 });
    expect(await has(serving, 2000)).toBe(true);
    expect(payloads(server)).toBe(0);
    // The next one's policies are new: what was allowed is asked again, by packets.
    cluster.hosts[0] = { ...host, agent: new Agent(host.agent.options) };
    await asking.call("send", { from: 2000, count: 1000 });
    expect(await has(serving, 3000)).toBe(true);
    expect((await serving.call<Received>("received")).digest).toBe(digest(3000));
    const before = counts();
    const later = await pair("later", 4);
    await later.asking.call("send", { from: 0, count: 1000 });
    expect(await has(later.serving, 1000)).toBe(true);
    expect(counts().bytes - before.bytes).toBe(1000);
  }, 300_000);

  describe.each([4, 6] as const)("IPv%i: a workload that gives itself the addresses of two others", (family) => {
    const addressIn = ({ endpoint }: ClusterPod): string => {
      const address = family === 4 ? endpoint.address : endpoint.address6;
      if (!address) throw new Error("no address");
      return formatAddress(address);
    };
    /** The workload's own address, its sockets, and those whose addresses it takes. */
    const forger = async (name: string, ...victims: readonly ClusterPod[]) => {
      const pod = cluster.addPod(0, name);
      const [waiting, opening] = [child(pod), child(pod)];
      await opening.call("take", { addresses: victims.map(addressIn) });
      return { own: addressIn(pod), waiting, opening };
    };
    const open = async (
      at: { waiting: Child; opening: Child },
      to: { address: string; port: number },
      from?: { address: string; port: number },
    ) => {
      await at.waiting.call("serve", { port: to.port, family });
      expect(await at.opening.call("connect", { ...to, from })).toBe("connected");
      expect(await until(() => at.waiting.call<boolean>("connected"))).toBe(true);
    };
    /** Bytes between the two, both ways, while the others' sockets say something else. */
    const speak = async (victims: { serving: Child; asking: Child }, forged: { waiting: Child; opening: Child }) => {
      const before = counts();
      await forged.opening.call("send", { from: 7, count: 3000 });
      await forged.waiting.call("send", { from: 9, count: 2000 });
      expect(await has(forged.waiting, 3000)).toBe(true);
      expect(await has(forged.opening, 2000)).toBe(true);
      expect(counts().bytes).toBe(before.bytes);
      await victims.asking.call("send", { from: 0, count: 5000 });
      await victims.serving.call("send", { from: 0, count: 5000 });
      for (const one of [victims.serving, victims.asking]) {
        expect(await has(one, 5000)).toBe(true);
        expect((await one.call<Received>("received")).digest).toBe(digest(5000));
      }
      expect(counts().bytes - before.bytes).toBe(10_000);
      expect((await forged.waiting.call<Received>("received")).bytes).toBe(3000);
      expect((await forged.opening.call<Received>("received")).bytes).toBe(2000);
    };

    it("opens the very connection that they have: no byte of theirs comes to it, and none of its to them", async () => {
      const { server, client, serving, asking } = await pair(`after${family}`, family);
      const from = await asking.call<{ address: string; port: number }>("end");
      const forged = await forger(`forger-after${family}`, server, client);
      const before = counts();
      await open(forged, { address: addressIn(server), port }, { address: addressIn(client), port: from.port });
      expect(counts().sockets).toBe(before.sockets);
      await speak({ serving, asking }, forged);
    }, 120_000);

    it("has it open before they do", async () => {
      const [server, client] = [cluster.addPod(0, `before${family}-s`), cluster.addPod(0, `before${family}-c`)];
      const victims = { serving: child(server), asking: child(client) };
      const to = { address: addressIn(server), port: ++port };
      const from = { address: addressIn(client), port: 20_000 + port };
      const forged = await forger(`forger-before${family}`, server, client);
      const before = counts();
      await open(forged, to, from);
      await victims.serving.call("serve", { port: to.port, family });
      expect(await victims.asking.call("connect", { ...to, from })).toBe("connected");
      expect(await until(() => victims.serving.call<boolean>("connected"))).toBe(true);
      expect(counts().sockets - before.sockets).toBe(2);
      await speak(victims, forged);
    }, 120_000);

    it("speaks by its own address with another's: what it says goes to itself", async () => {
      const { server, serving, asking } = await pair(`half${family}`, family);
      const forged = await forger(`forger-half${family}`, server);
      const before = counts();
      const to = { address: addressIn(server), port };
      await open(forged, to, { address: forged.own, port: 20_000 + port });
      // Its own end is its own: but there is no connection by the network that was allowed.
      expect(counts().sockets - before.sockets).toBe(1);
      await speak({ serving, asking }, forged);
    }, 120_000);
  });

  it("what has a rate goes through the network", async () => {
    const before = counts();
    const { server, serving, asking } = await pair("rated", 4, {
      annotations: { "kubernetes.io/ingress-bandwidth": "100M" },
    });
    await asking.call("send", { from: 0, count: 5000 });
    expect(await has(serving, 5000)).toBe(true);
    expect(counts().bytes).toBe(before.bytes);
    expect(counts().network).toBeGreaterThan(before.network);
    expect(payloads(server)).toBeGreaterThan(0);
  }, 300_000);
});
