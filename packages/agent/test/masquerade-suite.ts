/**
 * @module
 * Both families end to end: workloads with an address of each, and what leaves the cluster with the node's.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findLayer, formatAddress, type LayerSpec, type ParsedPacket, parsePacket, verifyChecksums } from "@skep/net";
import { Cluster, type ClusterGround, type ClusterPod, NODE4, NODE6, OUTSIDE4, OUTSIDE6 } from "./cluster-lab.ts";
import { ip } from "./packet-lab.ts";

export const layersOf = (family: 4 | 6, from: string, to: string): LayerSpec =>
  family === 4
    ? { kind: "ipv4", source: ip(from), destination: ip(to) }
    : { kind: "ipv6", source: ip(from), destination: ip(to) };

export const addressOf = ({ endpoint }: ClusterPod, family: 4 | 6): string => {
  const address = family === 4 ? endpoint.address : endpoint.address6;
  if (!address) throw new Error(`${endpoint.name} has no address of family ${family}`);
  return formatAddress(address);
};

export const endsOf = (packet: ParsedPacket): string => {
  const layer = findLayer(packet, "ipv4") ?? findLayer(packet, "ipv6");
  return layer ? `${formatAddress(layer.source)} > ${formatAddress(layer.destination)}` : "";
};

const rest = (packet: ParsedPacket): number => (findLayer(packet, "icmp") ?? findLayer(packet, "icmpv6"))?.rest ?? -1;

export const isReply = (packet: ParsedPacket, wanted: number): boolean => {
  const type = (findLayer(packet, "icmp") ?? findLayer(packet, "icmpv6"))?.type;
  return (type === 0 || type === 129) && rest(packet) === wanted;
};

const isUnreachable = (packet: ParsedPacket): boolean =>
  findLayer(packet, "icmp")?.type === 3 || findLayer(packet, "icmpv6")?.type === 1;

/** What an ICMP error quotes. */
const quotedBy = (packet: ParsedPacket): ParsedPacket | null => {
  const payload = findLayer(packet, "payload");
  return payload && parsePacket(payload.bytes, { first: "ip" });
};

export const echo = (family: 4 | 6, from: string, to: string, wanted: number): LayerSpec[] => [
  layersOf(family, from, to),
  family === 4 ? { kind: "icmp", type: 8, rest: wanted } : { kind: "icmpv6", type: 128, rest: wanted },
  { kind: "payload", bytes: Uint8Array.from({ length: 24 }, (_, at) => at) },
];

export const isRight = (packet: ParsedPacket): boolean =>
  verifyChecksums(packet).every(({ state }) => state !== "wrong");

export function masqueradeSuite(ground: () => ClusterGround): void {
  let cluster: Cluster;
  let pod: ClusterPod;
  let other: ClusterPod;

  beforeAll(() => {
    cluster = new Cluster(ground(), 1, {
      agent: () => ({ devices: ["out0"], nonMasqueradeCidrs: ["203.0.113.128/25", "2001:db8:cafe:8000::/49"] }),
    });
    pod = cluster.addPod(0, "pod");
    other = cluster.addPod(0, "other");
  }, 300_000);
  afterAll(() => cluster?.close());

  for (const family of [4, 6] as const) {
    const [node, outside] = family === 4 ? [NODE4(0), OUTSIDE4] : [NODE6(0), OUTSIDE6];
    const plain = family === 4 ? "203.0.113.200" : "2001:db8:cafe:8000::5";

    describe(`IPv${family}`, () => {
      it("two workloads reach each other", async () => {
        cluster.send(pod, ...echo(family, addressOf(pod, family), addressOf(other, family), 0x11110001));
        const reply = await cluster.arrival(pod.port, (packet) => isReply(packet, 0x11110001));
        expect(reply && endsOf(reply)).toBe(`${addressOf(other, family)} > ${addressOf(pod, family)}`);
      });

      it("a workload and the host reach each other", async () => {
        const gateway = family === 4 ? "10.1.0.1" : "fd00:1::1";
        cluster.send(pod, ...echo(family, addressOf(pod, family), gateway, 0x11110002));
        expect(await cluster.arrival(pod.port, (packet) => isReply(packet, 0x11110002))).not.toBeNull();
      });

      it("what leaves the cluster has the node's address, and the answer comes back", async () => {
        const wanted = 0xa0010003;
        cluster.send(pod, ...echo(family, addressOf(pod, family), outside, wanted));
        const seen = await cluster.arrival(cluster.hosts[0]!.outer, (packet) => rest(packet) === wanted);
        expect(seen && endsOf(seen)).toBe(`${node} > ${outside}`);
        expect(seen && isRight(seen)).toBe(true);
        const reply = await cluster.arrival(pod.port, (packet) => isReply(packet, wanted));
        expect(reply && endsOf(reply)).toBe(`${outside} > ${addressOf(pod, family)}`);
        expect(reply && isRight(reply)).toBe(true);
      });

      it("an ICMP error comes back to who caused it, about what it had sent", async () => {
        const udp: LayerSpec = { kind: "udp", sourcePort: 1234, destinationPort: 9 };
        cluster.send(pod, layersOf(family, addressOf(pod, family), outside), udp);
        const error = await cluster.arrival(pod.port, isUnreachable);
        expect(error && endsOf(error)).toBe(`${outside} > ${addressOf(pod, family)}`);
        const quoted = error && quotedBy(error);
        expect(quoted && endsOf(quoted)).toBe(`${addressOf(pod, family)} > ${outside}`);
        expect(quoted && findLayer(quoted, "udp")).toMatchObject({ sourcePort: 1234, destinationPort: 9 });
        expect(quoted && isRight(quoted)).toBe(true);
        expect(error && isRight(error)).toBe(true);
      });

      it("what goes to an excluded prefix keeps its address", async () => {
        cluster.send(pod, ...echo(family, addressOf(pod, family), plain, 0x11110005));
        const seen = await cluster.arrival(cluster.hosts[0]!.outer, (packet) => rest(packet) === 0x11110005);
        expect(seen && endsOf(seen)).toBe(`${addressOf(pod, family)} > ${plain}`);
      });
    });
  }
}
