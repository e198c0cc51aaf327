// Checksums of what is translated and tunnelled, while veth leaves them (and the cutting of what is long) to others, and while it does not:
// the kernels at both ends take every byte, and an independent reader finds every packet on the wires right.
import type { ChildProcess } from "node:child_process";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openLinux, spawnWorkload } from "@skep/linux";
import {
  findLayer,
  type Layer,
  parsePacket,
  type ParsedPacket,
  pseudoHeaderSum,
  transportChecksum,
  verifyChecksums,
} from "@skep/net";
import { sendsUnsummed, setSendsUnsummed } from "../../linux/test/ethtool.ts";
import type { Agent } from "../src/agent.ts";
import type { AgentOptions } from "../src/options.ts";
import type { EndpointRecord } from "../src/state.ts";
import { Cluster, type ClusterPod, linuxCluster, NODE4, NODE6, OUTSIDE4, OUTSIDE6 } from "./cluster-lab.ts";
import { node } from "./nodes-suite.ts";
import type { Port } from "./packet-lab.ts";

const privileged = process.getuid?.() === 0;
if (!privileged) console.warn("skipped: checksums of real packets need root and BPF");

const [NODE_PORT, TARGET] = [30_081, 8080];
const SERVICE = { 4: "10.96.0.21", 6: "fd00:96::21" } as const;
const BACKEND = { 4: "10.2.0.2", 6: "fd00:2::2" } as const;
const BYTES = 200_001;
/** Odd and even; the last one is cut into fragments. */
const LENGTHS = [1, 2, 17, 512, 1001, 1300];
const LARGE = 3001;
const FRAME = 1514;

const protocols = ["TCP", "UDP"] as const;
const documents = [
  ...[node(0), node(1)],
  {
    ...{ apiVersion: "v1", kind: "Service", metadata: { name: "there" } },
    spec: {
      ...{ type: "NodePort", ipFamilyPolicy: "RequireDualStack", ipFamilies: ["IPv4", "IPv6"] },
      ...{ clusterIP: SERVICE[4], clusterIPs: [SERVICE[4], SERVICE[6]] },
      ports: protocols.map((protocol) => ({
        ...{ name: protocol.toLowerCase(), protocol, port: 80, targetPort: TARGET, nodePort: NODE_PORT },
      })),
    },
  },
  ...([4, 6] as const).map((family) => ({
    ...{ apiVersion: "discovery.k8s.io/v1", kind: "EndpointSlice", addressType: `IPv${family}` },
    metadata: { name: `there-${family}`, labels: { "kubernetes.io/service-name": "there" } },
    endpoints: [{ addresses: [BACKEND[family]] }],
    ports: protocols.map((protocol) => ({ name: protocol.toLowerCase(), protocol, port: TARGET })),
  })),
];

// ---- the reader ----

const PROTOCOL = { tcp: 6, udp: 17 } as const;
const CHECKSUM_AT = { tcp: 16, udp: 6 } as const;
type Segment = Extract<Layer, { kind: "tcp" | "udp" }>;
const isSegment = (layer: Layer | undefined): layer is Segment => layer?.kind === "tcp" || layer?.kind === "udp";

/**
 * Finishes what a sender has left to the hardware, innermost first: a checksum that is the pseudo header's sum alone. How many there were, and the
 * kinds of layers that are wrong all the same.
 */
function finish(frame: Uint8Array): { readonly unfinished: number; readonly wrong: readonly string[] } {
  const bytes = frame.slice();
  let unfinished = 0;
  for (let packet = parsePacket(bytes); ; packet = parsePacket(bytes)) {
    const wrong = verifyChecksums(packet).filter(({ state }) => state === "wrong");
    const last = wrong.at(-1);
    if (!last || !fill(packet, bytes, last.layer))
      return { unfinished, wrong: wrong.map(({ layer }) => packet.layers[layer]?.kind ?? "") };
    unfinished += 1;
  }
}

function fill(packet: ParsedPacket, bytes: Uint8Array, at: number): boolean {
  const [layer, span] = [packet.layers[at], packet.spans[at]];
  const ends = packet.layers.slice(0, at).findLast(({ kind }) => kind === "ipv4" || kind === "ipv6");
  if (!isSegment(layer) || !span || (ends?.kind !== "ipv4" && ends?.kind !== "ipv6")) return false;
  const segment = bytes.subarray(span.offset, span.end);
  const number = PROTOCOL[layer.kind];
  if (layer.checksum !== pseudoHeaderSum(ends, number, segment.length)) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset + span.offset);
  view.setUint16(CHECKSUM_AT[layer.kind], 0);
  view.setUint16(CHECKSUM_AT[layer.kind], transportChecksum(ends, number, segment) || 0xffff);
  return true;
}

// ---- processes ----

const childFile = join(dirname(fileURLToPath(import.meta.url)), "bulk-child.mjs");

/** One line for one line. */
class Child {
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(netnsPath: string) {
    this.#process = spawnWorkload({
      ...{ command: process.execPath, args: [childFile], netnsPath, stdio: ["pipe", "pipe", "inherit"] },
    });
    if (!this.#process.stdout) throw new Error("no output");
    this.#lines = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]();
  }

  async line(): Promise<string> {
    const { done, value } = await this.#lines.next();
    return done ? "the process has ended" : value;
  }

  ask(order: object): Promise<string> {
    this.#process.stdin?.write(`${JSON.stringify(order)}\n`);
    return this.line();
  }

  close(): void {
    this.#process.kill("SIGKILL");
  }
}

type Mode = Required<Pick<AgentOptions, "routing" | "tunnelFamily">>;

function suite({ routing, tunnelFamily }: Mode): void {
  let cluster: Cluster;
  let client: Child;
  let outside: Child;
  const children: Child[] = [];
  /** Where workloads' packets arrive, and nodes'. */
  const ends: Port[] = [];
  const wires: Port[] = [];
  const holders: ChildProcess[] = [];
  /** Interfaces that packets are sent by, where they are. */
  const senders: (readonly [namespace: string, name: string])[] = [];

  const start = (netnsPath: string): Child => {
    const child = new Child(netnsPath);
    children.push(child);
    return child;
  };

  beforeAll(async () => {
    const ground = linuxCluster();
    cluster = new Cluster(ground, 2, {
      documents: { "cluster.yaml": documents.map((each) => JSON.stringify(each)).join("\n---\n") },
      agent: (at) => ({ routing, tunnelFamily, devices: ["out0", `n${1 - at}`] }),
    });
    const pods = [cluster.addPod(0, "client"), cluster.addPod(1, "there")];
    const inside = pods.map((pod) => namespaceOf(cluster, pod));
    const away = ground.outside.net.host;
    const spaces = [...inside, away.path, ...cluster.hosts.map(({ machine }) => machine.net.host.path)];
    for (const path of spaces)
      for (const { name } of lookInto(path).interfaces()) if (name !== "lo") senders.push([path, name]);
    ends.push(...pods.map(({ port }) => port));
    wires.push(...cluster.hosts.map(({ outer }) => outer), cluster.openHost(0, "n1"), cluster.openHost(1, "n0"));
    // A workload without a process would be taken for one that has ended; those of the test are beside its cgroup, whose sockets are balanced.
    for (const pod of pods) holders.push(hold(cluster, pod));
    client = start(inside[0] ?? "");
    start(inside[1] ?? "");
    outside = start(away.path);
    expect(await Promise.all(children.map((child) => child.line()))).toEqual(["up", "up", "up"]);
  }, 300_000);
  afterAll(async () => {
    for (const child of children) child.close();
    for (const holder of holders) holder.kill("SIGKILL");
    await cluster?.close();
  });

  for (const isLeft of [true, false])
    describe(isLeft ? "left to others" : "made by the sender", () => {
      beforeAll(() => {
        for (const [path, name] of senders)
          lookInto(path).run(() => {
            setSendsUnsummed(name, isLeft);
            expect(sendsUnsummed(name)).toBe(isLeft);
          });
      });

      for (const [what, isOutside, to, port] of [
        ["to a service", false, SERVICE, 80],
        ["to a node port", true, { 4: NODE4(0), 6: NODE6(0) }, NODE_PORT],
        ["out of the cluster", false, { 4: OUTSIDE4, 6: OUTSIDE6 }, TARGET],
      ] as const)
        for (const family of [4, 6] as const)
          it(`IPv${family} ${what}: every byte arrives, every packet is right`, { timeout: 120_000 }, async () => {
            for (const each of [...ends, ...wires]) each.read();
            // What comes from outside in fragments does not fit into tunnels.
            const lengths = what === "to a service" || routing === "native" ? [...LENGTHS, LARGE] : LENGTHS;
            const from = isOutside ? { from: { 4: OUTSIDE4, 6: OUTSIDE6 }[family] } : {};
            for (const over of [
              { kind: "tcp", bytes: BYTES },
              { kind: "udp", lengths },
            ])
              expect(await (isOutside ? outside : client).ask({ ...over, ...from, host: to[family], port })).toBe(
                "same",
              );
            const between = wires.flatMap((each) => each.read());
            const found = [...ends.flatMap((each) => each.read()), ...between].map((frame) => finish(frame));
            expect(found.flatMap(({ wrong }) => wrong)).toEqual([]);
            const isTunnelled = between.some((frame) => findLayer(parsePacket(frame), "vxlan"));
            expect(isTunnelled).toBe(routing !== "native" && what !== "out of the cluster");
            // Neither way is the other one in disguise. What comes out of a tunnel is put together again, and then unfinished.
            expect(between.some((frame) => finish(frame).unfinished > 0)).toBe(isLeft);
            expect(between.some(({ length }) => length > FRAME)).toBe(isLeft);
          });
    });
}

const looks = openLinux({ runFolder: "/nonexistent" });
const lookInto = (path: string): ReturnType<typeof looks.net.namespaceAt> => looks.net.namespaceAt(path);

function statusOf(cluster: Cluster, { host, endpoint }: ClusterPod): { agent: Agent; record: EndpointRecord } {
  const agent = cluster.hosts[host]?.agent;
  const status = agent?.endpoints().find((each) => each.endpoint.id === endpoint.id);
  if (!agent || !status) throw new Error(`${endpoint.name} is gone`);
  return { agent, record: status.record };
}

function namespaceOf(cluster: Cluster, pod: ClusterPod): string {
  const { agent, record } = statusOf(cluster, pod);
  return agent.netnsPath(record);
}

function hold(cluster: Cluster, pod: ClusterPod): ChildProcess {
  const { agent, record } = statusOf(cluster, pod);
  return spawnWorkload({
    ...{ command: "/bin/sleep", args: ["infinity"], cgroupPath: agent.cgroupPath(record), stdio: "ignore" },
  });
}

describe.skipIf(!privileged)("checksums in the kernel", () => {
  describe("over the nodes", () => suite({ routing: "native", tunnelFamily: 4 }));
  describe("in tunnels over IPv4", () => suite({ routing: "vxlan", tunnelFamily: 4 }));
  describe("in tunnels over IPv6", () => suite({ routing: "vxlan", tunnelFamily: 6 }));
});
