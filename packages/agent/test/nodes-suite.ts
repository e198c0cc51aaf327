/**
 * @module
 * Workloads on two hosts: packets between them, over the hosts or in tunnels, and policies that are in force across.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { World } from "@skep/control";
import { TUNNEL_PORTS, type TunnelProtocol } from "@skep/machine";
import { type DatapathEvent, datapathTables } from "@skep/datapath";
import { findLayer, formatAddress, hostPrefix, type ParsedPacket, parsePacket, parsePrefix } from "@skep/net";
import { Cluster, type ClusterGround, type ClusterPod, NODE4, NODE6 } from "./cluster-lab.ts";
import { nodeMessages } from "../src/node-list.ts";
import { ip } from "./packet-lab.ts";
import { addressOf, echo, endsOf, isReply, isRight } from "./masquerade-suite.ts";

const IDENTITIES = { client: 300, stranger: 301, server: 302 } as const;

/** As Cilium derives them, for a workload of the default namespace. */
function labelsOf(app: string): Readonly<Record<string, string>> {
  const [podCidr, serviceCidr] = [parsePrefix("10.0.0.0/24"), parsePrefix("10.96.0.0/24")];
  if (!podCidr || !serviceCidr) throw new Error("constant prefixes");
  return new World({ podCidr, serviceCidr }).workloadLabels("default", { app });
}

export const node = (at: number, labels: Readonly<Record<string, string>> = {}): object => ({
  ...{ apiVersion: "cilium.io/v2", kind: "CiliumNode", metadata: { name: `h${at}`, labels } },
  spec: {
    addresses: [NODE4(at), NODE6(at)].map((ip) => ({ type: "InternalIP", ip })),
    ipam: { podCIDRs: [`10.${at + 1}.0.0/24`, `fd00:${at + 1}::/112`] },
  },
});
export const identities = Object.entries(IDENTITIES).map(([app, id]) => ({
  ...{ apiVersion: "cilium.io/v2", kind: "CiliumIdentity", metadata: { name: `${id}` } },
  "security-labels": labelsOf(app),
}));
export const endpoint = (app: keyof typeof IDENTITIES, at: number, number: number): object => ({
  ...{ apiVersion: "cilium.io/v2", kind: "CiliumEndpoint", metadata: { name: app, namespace: "default" } },
  status: {
    identity: { id: IDENTITIES[app], labels: Object.entries(labelsOf(app)).map(([key, value]) => `${key}=${value}`) },
    networking: {
      addressing: [{ ipv4: `10.${at + 1}.0.${number}`, ipv6: `fd00:${at + 1}::${number}` }],
      node: NODE4(at),
    },
  },
});
const policy = {
  ...{ apiVersion: "cilium.io/v2", kind: "CiliumNetworkPolicy", metadata: { name: "only-clients" } },
  spec: {
    endpointSelector: { matchLabels: { app: "server" } },
    ingress: [{ fromEndpoints: [{ matchLabels: { app: "client" } }] }],
  },
};
export const documents = (...objects: readonly object[]): string =>
  objects.map((each) => JSON.stringify(each)).join("\n---\n");

interface Mode {
  readonly routing: "native" | TunnelProtocol;
  /** Of the nodes' addresses that tunnels lead to. */
  readonly underlay?: 4 | 6;
}

function modeSuite(ground: () => ClusterGround, { routing, underlay = 4 }: Mode): void {
  let cluster: Cluster;
  let client: ClusterPod;
  let stranger: ClusterPod;
  let server: ClusterPod;
  let reader: { drain(): number; close(): void };
  const events: DatapathEvent[] = [];

  beforeAll(() => {
    // A tunnel tells who sends: the other end knows no addresses of workloads.
    const endpoints = [endpoint("client", 0, 2), endpoint("stranger", 0, 3), endpoint("server", 1, 2)];
    cluster = new Cluster(ground(), 2, {
      documents: {
        "cluster.yaml": documents(node(0), node(1), ...identities, policy, ...(routing === "native" ? endpoints : [])),
      },
      agent: (at) => ({ routing, tunnelFamily: underlay, devices: ["out0", `n${1 - at}`] }),
    });
    client = cluster.addPod(0, "client");
    stranger = cluster.addPod(0, "stranger");
    server = cluster.addPod(1, "server");
    const second = cluster.hosts[1];
    if (!second) throw new Error("two hosts");
    reader = second.agent.datapath.readEvents((event) => events.push(event));
  }, 300_000);
  afterAll(async () => {
    reader?.close();
    await cluster?.close();
  });

  it("the cluster's numbers are the workloads'", () => {
    const found = [client, stranger, server].map((pod) => pod.endpoint.identity);
    expect(found).toEqual([IDENTITIES.client, IDENTITIES.stranger, IDENTITIES.server]);
  });

  for (const family of [4, 6] as const) {
    it(`IPv${family}: packets get there and back, with their own addresses`, async () => {
      const wanted = 0x22220000 + family;
      cluster.send(client, ...echo(family, addressOf(client, family), addressOf(server, family), wanted));
      const reply = await cluster.arrival(client.port, (packet) => isReply(packet, wanted));
      expect(reply && endsOf(reply)).toBe(`${addressOf(server, family)} > ${addressOf(client, family)}`);
      expect(reply && isRight(reply)).toBe(true);
    });

    it(`IPv${family}: the server's policy is in force against a workload of the other host`, async () => {
      reader.drain();
      events.length = 0;
      const [from, to] = [addressOf(stranger, family), addressOf(server, family)];
      cluster.send(stranger, ...echo(family, from, to, 0x33330000 + family));
      await cluster.quiet(() => {
        reader.drain();
        return events.some(({ type }) => type === 1);
      });
      expect(events.filter(({ type }) => type === 1)).toMatchObject([
        {
          reason: 133,
          direction: "ingress",
          sourceIdentity: IDENTITIES.stranger,
          destinationIdentity: IDENTITIES.server,
        },
      ]);
    });

    it(`IPv${family}: what is between the hosts`, async () => {
      const wanted = 0x44440000 + family;
      const wire = cluster.openHost(1, "n0");
      cluster.send(client, ...echo(family, addressOf(client, family), addressOf(server, family), wanted));
      const seen = await cluster.arrival(wire, (packet) => isAbout(packet, wanted));
      if (!seen) throw new Error("nothing between the hosts");
      if (routing === "native") {
        expect(endsOf(seen)).toBe(`${addressOf(client, family)} > ${addressOf(server, family)}`);
        return;
      }
      const outer = findLayer(seen, underlay === 4 ? "ipv4" : "ipv6");
      const NODE = underlay === 4 ? NODE4 : NODE6;
      expect(outer && [outer.source, outer.destination].map(formatAddress)).toEqual([NODE(0), NODE(1)]);
      expect(findLayer(seen, "udp")).toMatchObject({ destinationPort: TUNNEL_PORTS[routing] });
      expect(findLayer(seen, routing)).toMatchObject({
        vni: IDENTITIES.client,
        ...(routing === "vxlan" ? { flags: 8 } : { protocol: 0x6558, options: [], critical: false, control: false }),
      });
      const inner = findLayer(seen, family === 4 ? "ipv4" : "ipv6", "innermost");
      expect(inner && [inner.source, inner.destination].map(formatAddress)).toEqual([
        addressOf(client, family),
        addressOf(server, family),
      ]);
      // The datagram's own checksum is left to the device, where it has one: IPv6 asks for it.
      const inside = seen.spans[seen.layers.findLastIndex(({ kind }) => kind === "ethernet")];
      expect(isRight(underlay === 4 ? seen : parsePacket(seen.bytes.slice(inside?.offset)))).toBe(true);
    });

    it(`IPv${family}: the other host itself`, async () => {
      const wanted = 0x55550000 + family;
      const gateway = family === 4 ? "10.2.0.1" : "fd00:2::1";
      cluster.send(client, ...echo(family, addressOf(client, family), gateway, wanted));
      expect(await cluster.arrival(client.port, (packet) => isReply(packet, wanted))).not.toBeNull();
    });
  }

  it("packets of workloads leave room for the tunnel", () => {
    const { machine } = cluster.hosts[0] ?? {};
    expect(machine?.net.host.interface(client.endpoint.interfaceName)?.mtu).toBe(
      routing === "native" ? 1500 : underlay === 4 ? 1450 : 1430,
    );
  });
}

function tellSuite(ground: () => ClusterGround): void {
  let cluster: Cluster;
  let pins: string;
  beforeAll(() => {
    const made = ground();
    cluster = new Cluster(made, 2, {
      documents: { "cluster.yaml": documents(node(0), node(1), ...identities, endpoint("server", 1, 2)) },
      agent: () => ({ routing: "vxlan", devices: ["out0"] }),
    });
    pins = cluster.hosts[0]!.agent.options.pins;
  }, 300_000);
  afterAll(() => cluster?.close());

  it("nodes: this one, and the other with its tunnel and workloads", () => {
    const [own, other, ...rest] = nodeMessages(cluster.hosts[0]!.agent) as Record<string, unknown>[];
    expect(own).toMatchObject({ name: "h0", local: true });
    expect(other).toMatchObject({ name: "h1", local: false, routing: "vxlan", tunnelEndpoint: NODE4(1), endpoints: 1 });
    expect(other!["problem"]).toBe("");
    expect(rest).toEqual([]);
  });

  it("prefixes behind the other node", () => {
    const { machine } = cluster.hosts[0]!;
    const rows = datapathTables.find(({ name }) => name === "tunnel")!.read(machine, pins)!;
    expect(rows).toContainEqual(expect.objectContaining({ prefix: "10.2.0.0/24", tunnel: NODE4(1) }));
    for (const { tunnel } of rows) expect(tunnel).toBe(NODE4(1));
  });

  it("an address that comes later is the host's, and its device's", async () => {
    const { machine, agent } = cluster.hosts[0]!;
    const late = ip("198.51.100.77");
    const identity = (): unknown =>
      agent.world.ipcache().find(({ prefix }) => formatAddress(prefix.address) === formatAddress(late))?.identity;
    expect(identity()).toBeUndefined();
    machine.net.host.addAddress(machine.net.host.interface("out0")!.index, hostPrefix(late));
    await expect.poll(identity, { timeout: 60_000, interval: 100 }).toBe(1);
  });
}

const isAbout = (packet: ParsedPacket, wanted: number): boolean =>
  packet.layers.some((layer) => "rest" in layer && layer.rest === wanted);

/** `protocols`: of tunnels, that the machine has. */
export function nodesSuite(ground: () => ClusterGround, protocols: readonly TunnelProtocol[]): void {
  describe("native routing", () => modeSuite(ground, { routing: "native" }));
  for (const routing of protocols) {
    describe(routing, () => modeSuite(ground, { routing }));
    describe(`${routing} over IPv6`, () => modeSuite(ground, { routing, underlay: 6 }));
  }
  describe("tells", () => tellSuite(ground));
}
