/**
 * @module
 * Egress gateways over two hosts: what certain workloads send to the world leaves by the second host, with an address that is for them alone.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { DatapathEvent } from "@skep/datapath";
import { datapathTables } from "@skep/datapath";
import { findLayer, hostPrefix, type ParsedPacket } from "@skep/net";
import { Cluster, type ClusterGround, type ClusterPod, NODE4, NODE6, OUTSIDE4, OUTSIDE6 } from "./cluster-lab.ts";
import { addressOf, echo, endsOf, isReply, isRight, layersOf } from "./masquerade-suite.ts";
import { documents, endpoint, identities, node } from "./nodes-suite.ts";
import { ip } from "./packet-lab.ts";

const EGRESS = { 4: "192.0.2.201", 6: "2001:db8::c9" } as const;
const PREFIX = { 4: "203.0.113.0/24", 6: "2001:db8:cafe::/48" } as const;
const EXCLUDED = { 4: "203.0.113.128/25", 6: "2001:db8:cafe:8000::/49" } as const;
const WITHIN_EXCLUDED = { 4: "203.0.113.200", 6: "2001:db8:cafe:8000::5" } as const;
const ABSENT = { 4: "192.0.2.250", 6: "2001:db8::fa" } as const;

const policy = (name: string, app: string, over: object): object => ({
  ...{ apiVersion: "cilium.io/v2", kind: "CiliumEgressGatewayPolicy", metadata: { name } },
  spec: { selectors: [{ podSelector: { matchLabels: { app } } }], ...over },
});
const byGateway = (egressIP: string, gateway = "yes"): object => ({
  egressGateway: { nodeSelector: { matchLabels: { gateway } }, egressIP },
});

const rest = (packet: ParsedPacket): number => (findLayer(packet, "icmp") ?? findLayer(packet, "icmpv6"))?.rest ?? -1;

export function egressSuite(open: () => ClusterGround): void {
  let cluster: Cluster;
  let client: ClusterPod;
  let stranger: ClusterPod;
  let server: ClusterPod;
  let ground: ClusterGround;
  const drops: DatapathEvent[][] = [[], []];
  let readers: { drain(): number; close(): void }[] = [];

  beforeAll(() => {
    ground = open();
    const known = [endpoint("client", 0, 2), endpoint("stranger", 0, 3), endpoint("server", 1, 2)];
    cluster = new Cluster(ground, 2, {
      documents: { "cluster.yaml": documents(node(0), node(1, { gateway: "yes" }), ...identities, ...known) },
      agent: (at) => ({ routing: "vxlan", egressGateway: true, devices: ["out0", `n${1 - at}`] }),
    });
    client = cluster.addPod(0, "client");
    stranger = cluster.addPod(0, "stranger");
    server = cluster.addPod(1, "server");
    readers = cluster.hosts.map(({ agent }, at) =>
      agent.datapath.readEvents((event) => {
        if (event.type === 1) drops[at]?.push(event);
      }),
    );
    const { host } = cluster.hosts[1]!.machine.net;
    const out = host.interface("out0");
    const back = ground.outside.net.host.interface("h1");
    if (!out || !back) throw new Error("no wire to the outside");
    for (const family of [4, 6] as const) {
      host.addAddress(out.index, hostPrefix(ip(EGRESS[family])));
      ground.outside.net.host.addNeighbour(back.index, ip(EGRESS[family]), out.mac);
      const destination = hostPrefix(ip(EGRESS[family]));
      ground.outside.net.host.addRoute({ destination, interface: back.index, scope: "link" });
    }
    const policies = ([4, 6] as const).flatMap((family) => {
      const destinationCIDRs = [PREFIX[family]];
      return [
        policy(`client-${family}`, "client", {
          ...{ destinationCIDRs, excludedCIDRs: [EXCLUDED[family]] },
          ...byGateway(EGRESS[family]),
        }),
        policy(`nobody-${family}`, "stranger", { destinationCIDRs, ...byGateway(EGRESS[family], "no") }),
        policy(`absent-${family}`, "server", { destinationCIDRs, ...byGateway(ABSENT[family]) }),
      ];
    });
    writeFileSync(join(ground.folder, "documents", "egress.yaml"), documents(...policies));
    for (const { agent } of cluster.hosts) agent.rescan();
  }, 300_000);
  afterAll(async () => {
    for (const reader of readers) reader.close();
    await cluster?.close();
  });

  const dropped = async (at: number, endpoint: number): Promise<number | undefined> => {
    const found = (): DatapathEvent | undefined => {
      readers[at]?.drain();
      return drops[at]?.find((event) => event.endpoint === endpoint);
    };
    await cluster.quiet(() => found() !== undefined);
    return found()?.reason;
  };

  for (const family of [4, 6] as const) {
    const outside = family === 4 ? OUTSIDE4 : OUTSIDE6;
    const own = family === 4 ? NODE4(0) : NODE6(0);

    describe(`IPv${family}`, () => {
      it("what the policy selects leaves by the gateway with the policy's address, and the answer comes back", async () => {
        for (const wanted of [0xb0010001 + family, 0xb0010011 + family]) {
          cluster.send(client, ...echo(family, addressOf(client, family), outside, wanted));
          const seen = await cluster.arrival(cluster.hosts[1]!.outer, (packet) => rest(packet) === wanted);
          expect(seen && endsOf(seen)).toBe(`${EGRESS[family]} > ${outside}`);
          expect(seen && isRight(seen)).toBe(true);
          const reply = await cluster.arrival(client.port, (packet) => isReply(packet, wanted));
          expect(reply && endsOf(reply)).toBe(`${outside} > ${addressOf(client, family)}`);
          expect(reply && isRight(reply)).toBe(true);
        }
      });

      it("an ICMP error comes back through the gateway", async () => {
        const udp = { kind: "udp", sourcePort: 1234, destinationPort: 9 } as const;
        cluster.send(client, layersOf(family, addressOf(client, family), outside), udp);
        const kind = family === 4 ? "icmp" : "icmpv6";
        const error = await cluster.arrival(
          client.port,
          (packet) => findLayer(packet, kind)?.type === (family === 4 ? 3 : 1),
        );
        expect(error && endsOf(error)).toBe(`${outside} > ${addressOf(client, family)}`);
        expect(error && isRight(error)).toBe(true);
      });

      it("what goes to an excluded prefix leaves by its own node", async () => {
        const wanted = 0xb0020001 + family;
        cluster.send(client, ...echo(family, addressOf(client, family), WITHIN_EXCLUDED[family], wanted));
        const seen = await cluster.arrival(cluster.hosts[0]!.outer, (packet) => rest(packet) === wanted);
        expect(seen && endsOf(seen)).toBe(`${own} > ${WITHIN_EXCLUDED[family]}`);
      });

      it("194: no node is the gateway", async () => {
        drops[0]!.length = 0;
        cluster.send(stranger, ...echo(family, addressOf(stranger, family), outside, 1));
        expect(await dropped(0, stranger.endpoint.id)).toBe(194);
      });

      it("204: the gateway has not the address", async () => {
        drops[1]!.length = 0;
        cluster.send(server, ...echo(family, addressOf(server, family), outside, 2));
        expect(await dropped(1, server.endpoint.id)).toBe(204);
      });
    });
  }

  it("is in the table, and what is not in force as it is written is told", () => {
    const table = datapathTables.find(({ name }) => name === "egress");
    const rows = (at: number): readonly object[] => {
      const { machine, agent } = cluster.hosts[at]!;
      return table?.read(machine, agent.options.pins) ?? [];
    };
    expect(rows(0)).toContainEqual({
      source: "10.1.0.2",
      destination: PREFIX[4],
      egressIp: "0.0.0.0",
      gateway: NODE4(1),
    });
    expect(rows(0)).toContainEqual({
      source: "10.1.0.2",
      destination: EXCLUDED[4],
      egressIp: "0.0.0.0",
      gateway: "Excluded CIDR",
    });
    expect(rows(0)).toContainEqual({
      source: "fd00:1::3",
      destination: PREFIX[6],
      egressIp: "::",
      gateway: "Not Found",
    });
    expect(rows(1)).toContainEqual({
      source: "10.1.0.2",
      destination: PREFIX[4],
      egressIp: EGRESS[4],
      gateway: "local",
    });
    const told = cluster.hosts[1]!.agent.world.problems().map(({ message }) => message);
    expect(told).toContain("CiliumEgressGatewayPolicy nobody-4 selects no node as its gateway");
    expect(told).toContain("CiliumEgressGatewayPolicy absent-4 names an address that this node has not");
  });

  it("a policy that is gone leaves nothing behind", async () => {
    writeFileSync(join(ground.folder, "documents", "egress.yaml"), "");
    for (const { agent } of cluster.hosts) agent.rescan();
    const wanted = 0xb0030001;
    cluster.send(client, ...echo(4, addressOf(client, 4), OUTSIDE4, wanted));
    const seen = await cluster.arrival(cluster.hosts[0]!.outer, (packet) => rest(packet) === wanted);
    expect(seen && endsOf(seen)).toBe(`${NODE4(0)} > ${OUTSIDE4}`);
  });
}
