/**
 * @module
 * A client outside at a node's ports: answers from a workload of the node and from one of another node, at tc and at XDP.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findLayer, type LayerSpec, type ParsedPacket, parsePacket, tcpFlags } from "@skep/net";
import type { AgentOptions } from "../src/options.ts";
import { Cluster, type ClusterGround, type ClusterPod, NODE4, NODE6 } from "./cluster-lab.ts";
import { ip, type Port } from "./packet-lab.ts";
import { addressOf, endsOf, isRight, layersOf } from "./masquerade-suite.ts";

/** Behind the outside's router, which answers for nobody there. */
const CLIENT = { 4: "198.51.100.7", 6: "2001:db8:beef::7" } as const;
const PORTS = { here: 30_080, there: 30_081, local: 30_082 } as const;
const TARGET = 8080;
const FIRST_SNAT = 32_768;

const node = (at: number): object => ({
  ...{ apiVersion: "cilium.io/v2", kind: "CiliumNode", metadata: { name: `h${at}` } },
  spec: {
    addresses: [NODE4(at), NODE6(at)].map((ip) => ({ type: "InternalIP", ip })),
    ipam: { podCIDRs: [`10.${at + 1}.0.0/24`, `fd00:${at + 1}::/112`] },
  },
});
const protocols = ["TCP", "UDP"] as const;
const service = (name: keyof typeof PORTS, at: number, over: object = {}): object => ({
  ...{ apiVersion: "v1", kind: "Service", metadata: { name } },
  spec: {
    ...over,
    ...{ type: "NodePort", ipFamilyPolicy: "RequireDualStack", ipFamilies: ["IPv4", "IPv6"] },
    clusterIP: `10.96.0.${20 + at}`,
    clusterIPs: [`10.96.0.${20 + at}`, `fd00:96::${20 + at}`],
    ports: protocols.map((protocol) => ({
      ...{ name: protocol.toLowerCase(), protocol, port: 80, targetPort: TARGET, nodePort: PORTS[name] },
    })),
  },
});
const slice = (name: keyof typeof PORTS, family: 4 | 6, address: string): object => ({
  ...{ apiVersion: "discovery.k8s.io/v1", kind: "EndpointSlice", addressType: `IPv${family}` },
  metadata: { name: `${name}-${family}`, labels: { "kubernetes.io/service-name": name } },
  endpoints: [{ addresses: [address] }],
  ports: protocols.map((protocol) => ({ name: protocol.toLowerCase(), protocol, port: TARGET })),
});
const documents = [
  ...[node(0), node(1), service("here", 0), service("there", 1, { selector: { app: "there" } })],
  service("local", 2, { selector: { app: "there" }, externalTrafficPolicy: "Local" }),
  ...[slice("here", 4, "10.1.0.2"), slice("here", 6, "fd00:1::2")],
  // What a node without endpoint slices knows of another's workloads.
  {
    ...{ apiVersion: "cilium.io/v2", kind: "CiliumEndpoint", metadata: { name: "there", namespace: "default" } },
    status: {
      identity: { id: 300, labels: ["k8s:app=there", "k8s:io.kubernetes.pod.namespace=default"] },
      networking: { addressing: [{ ipv4: "10.2.0.2", ipv6: "fd00:2::2" }], node: NODE4(1) },
    },
  },
];

interface Ends {
  readonly sourcePort: number;
  readonly destinationPort: number;
}

/** What opens a connection, or answers what did. */
function segment(kind: "tcp" | "udp", ports: Ends, isAnswer: boolean): LayerSpec[] {
  if (kind === "udp")
    return [
      { kind, ...ports },
      { kind: "payload", bytes: Uint8Array.of(isAnswer ? 2 : 1, 5, 6) },
    ];
  const flags = isAnswer ? tcpFlags.syn | tcpFlags.ack : tcpFlags.syn;
  return [{ kind, ...ports, flags, window: 8192, sequence: 7, acknowledgment: isAnswer ? 8 : 0 }];
}

function isSegment(packet: ParsedPacket, kind: "tcp" | "udp", ports: Partial<Ends>, isAnswer: boolean): boolean {
  const layer = findLayer(packet, kind);
  if (!layer || packet.layers.some((each) => each.kind === "icmp" || each.kind === "icmpv6")) return false;
  if (ports.sourcePort !== undefined && layer.sourcePort !== ports.sourcePort) return false;
  if (ports.destinationPort !== undefined && layer.destinationPort !== ports.destinationPort) return false;
  // The workload's own stack has nobody at the port, and says so beside.
  if (layer.kind === "tcp") return layer.flags === (isAnswer ? tcpFlags.syn | tcpFlags.ack : tcpFlags.syn);
  return findLayer(packet, "payload")?.bytes[0] === (isAnswer ? 2 : 1);
}

const portsOf = (packet: ParsedPacket): Ends => {
  const layer = findLayer(packet, "tcp") ?? findLayer(packet, "udp");
  if (!layer) throw new Error("no ports");
  return layer;
};

interface Mode {
  /** Default native. */
  readonly routing?: "native" | "vxlan" | "geneve";
  /** Default veth. */
  readonly datapathMode?: AgentOptions["datapathMode"];
  /** Default option. */
  readonly lbDispatch?: AgentOptions["lbDispatch"];
  readonly lbAcceleration: NonNullable<AgentOptions["lbAcceleration"]>;
  readonly mode: NonNullable<AgentOptions["loadBalancer"]>["mode"];
}

const isOfPort = (packet: ParsedPacket, port: number): boolean => {
  const layer = findLayer(packet, "tcp", "innermost") ?? findLayer(packet, "udp", "innermost");
  return layer?.destinationPort === port;
};

export function modeSuite(
  ground: () => ClusterGround,
  { lbAcceleration, mode = "snat", routing = "native", lbDispatch = "option", datapathMode = "veth" }: Mode,
): void {
  let cluster: Cluster;
  const pods: Partial<Record<"here" | "there", ClusterPod>> = {};

  let wire: Port;
  let between: Port;

  beforeAll(() => {
    cluster = new Cluster(ground(), 2, {
      documents: { "cluster.yaml": documents.map((each) => JSON.stringify(each)).join("\n---\n") },
      agent: (at) => ({
        ...{ lbAcceleration, devices: ["out0", `n${1 - at}`], loadBalancer: { mode }, routing, lbDispatch },
        datapathMode,
      }),
    });
    pods.here = cluster.addPod(0, "here");
    pods.there = cluster.addPod(1, "there");
    wire = cluster.openHost(0, "out0");
    between = cluster.openHost(1, "n0");
  }, 300_000);
  afterAll(() => cluster?.close());

  it("nothing is left undone", () => {
    for (const { agent, log } of cluster.hosts) {
      expect([...agent.failures]).toEqual([]);
      expect(agent.problems()).toEqual([]);
      expect(log.filter((line) => line.includes("error"))).toEqual([]);
    }
  });

  let clientPort = 41_000;
  for (const family of [4, 6] as const)
    for (const kind of ["tcp", "udp"] as const)
      for (const place of ["here", "there"] as const)
        it(`IPv${family}, ${kind}: a backend ${place === "here" ? "of the node" : "of another node"}`, async () => {
          const pod = pods[place];
          const host = cluster.hosts[0];
          if (!pod || !host) throw new Error("two hosts");
          const self = family === 4 ? NODE4(0) : NODE6(0);
          const ports = { sourcePort: ++clientPort, destinationPort: PORTS[place] };
          cluster.sendIn(0, layersOf(family, CLIENT[family], self), ...segment(kind, ports, false));
          const asked = await cluster.arrival(pod.port, (packet) =>
            isSegment(packet, kind, { destinationPort: TARGET }, false),
          );
          if (!asked) throw new Error("nothing got to the backend");
          const isDirect = place === "there" && (mode === "dsr" || (mode === "hybrid" && kind === "tcp"));
          const isTunnelled = place === "there" && routing === "vxlan";
          const gateway = family === 4 ? "10.1.0.1" : "fd00:1::1";
          const source = place === "here" || isDirect ? CLIENT[family] : isTunnelled ? gateway : self;
          expect(endsOf(asked)).toBe(`${source} > ${addressOf(pod, family)}`);
          expect(isRight(asked)).toBe(true);
          const { sourcePort } = portsOf(asked);
          // What told the backend's node stays with it.
          expect(asked.layers.map((each) => each.kind)).not.toContain("ipv6-options");
          const header = findLayer(asked, "ipv4");
          if (family === 4) expect(header && (header.options ?? [])).toEqual([]);
          if (place === "here" || isDirect) expect(sourcePort).toBe(ports.sourcePort);
          else expect(sourcePort).toBeGreaterThanOrEqual(FIRST_SNAT);

          // What XDP sends on is not the kernel's to show.
          const shown = wire.read().some((frame) => isSegment(parsePacket(frame), kind, ports, false));
          expect(shown).toBe(place === "here" || isTunnelled || lbAcceleration === "disabled");
          if (isDirect && lbDispatch === "geneve") {
            const inside = between
              .read()
              .map((bytes) => parsePacket(bytes))
              .find((packet) => findLayer(packet, "geneve") && isOfPort(packet, TARGET));
            const told = inside && findLayer(inside, "geneve")?.options[0];
            expect(told).toMatchObject({ class: 0x014b, type: 0x81 });
            expect(told && [...told.data]).toEqual([...ip(self).bytes, PORTS.there >> 8, PORTS.there & 0xff, 0, 0]);
            expect(inside && endsOf(inside)).toBe(`${NODE4(0)} > ${NODE4(1)}`);
          }
          if (isTunnelled) {
            // The client is the world to the backend's policy, though the node's address stands in its place.
            const inside = between
              .read()
              .map((bytes) => parsePacket(bytes))
              .find((packet) => findLayer(packet, "vxlan") && isOfPort(packet, TARGET));
            expect(inside && findLayer(inside, "vxlan")).toMatchObject({ vni: 2 });
          }

          const back = { sourcePort: TARGET, destinationPort: sourcePort };
          cluster.send(pod, layersOf(family, addressOf(pod, family), source), ...segment(kind, back, true));
          const answering = isDirect ? 1 : 0;
          const answer = await cluster.arrival(cluster.hosts[answering]?.outer ?? host.outer, (packet) =>
            isSegment(packet, kind, { destinationPort: ports.sourcePort }, true),
          );
          expect(answer && endsOf(answer)).toBe(`${self} > ${CLIENT[family]}`);
          expect(answer && portsOf(answer).sourcePort).toBe(ports.destinationPort);
          expect(answer && isRight(answer)).toBe(true);
          const ethernet = answer && findLayer(answer, "ethernet");
          expect(ethernet && [...ethernet.destination]).toEqual([...cluster.outerMac(answering)]);
        });

  it("externalTrafficPolicy Local: a node's own backends alone, and they see their client", async () => {
    const { there } = pods;
    const host = cluster.hosts[0];
    if (!there || !host) throw new Error("two hosts");
    const ports = { sourcePort: ++clientPort, destinationPort: PORTS.local };
    cluster.sendIn(0, layersOf(4, CLIENT[4], NODE4(0)), ...segment("tcp", ports, false));
    const refused = await cluster.arrival(host.outer, (packet) => {
      const tcp = findLayer(packet, "tcp");
      return tcp?.destinationPort === ports.sourcePort && tcp.flags === (tcpFlags.rst | tcpFlags.ack);
    });
    expect(refused && endsOf(refused)).toBe(`${NODE4(0)} > ${CLIENT[4]}`);
    cluster.sendIn(1, layersOf(4, CLIENT[4], NODE4(1)), ...segment("tcp", ports, false));
    const asked = await cluster.arrival(there.port, (packet) =>
      isSegment(packet, "tcp", { sourcePort: ports.sourcePort }, false),
    );
    expect(asked && endsOf(asked)).toBe(`${CLIENT[4]} > 10.2.0.2`);
  });
}

export function nodePortSuite(ground: () => ClusterGround): void {
  describe("with tunnels between the nodes, at XDP", () =>
    modeSuite(ground, { lbAcceleration: "generic", mode: "snat", routing: "vxlan" }));
  describe("hybrid, at tc", () => modeSuite(ground, { lbAcceleration: "disabled", mode: "hybrid" }));
  describe("dsr by a tunnel, at XDP", () =>
    modeSuite(ground, { lbAcceleration: "generic", mode: "dsr", lbDispatch: "geneve" }));
  for (const mode of ["snat", "dsr"] as const)
    describe(`${mode}, at XDP`, () => modeSuite(ground, { lbAcceleration: "generic", mode }));
}
