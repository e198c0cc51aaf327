/**
 * @module
 * A workload asks a name server and opens connections to what it was told: its flows say the names.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Address, buildDnsMessage, type DnsRecord, hostPrefix } from "@skep/net";
import { ip, PacketLab, worldRows, type Ground, type Probe } from "./packet-lab.ts";

const [TCP, UDP] = [6, 17];
const CLIENT = { id: 11, identity: 1001, address: ip("10.244.0.11"), address6: ip("fd44::11") };
/** A workload that answers questions of others. */
const RESOLVER = { id: 12, identity: 1002, address: ip("10.244.0.12"), address6: ip("fd44::12") };

const SERVERS = { 4: ip("198.51.100.53"), 6: ip("2001:db8::53") } as const;
const any = (direction: "ingress" | "egress", over: object = {}) => ({
  ...{ direction, identity: 0, protocol: 0, port: 0, portPrefix: 0, precedence: 1, deny: false, proxyPort: 0 },
  ...{ cookie: 1, ...over },
});

const recordOf = (name: string, address: Address): DnsRecord =>
  address.family === 4
    ? { name, type: 1, class: 1, ttl: 30, data: { kind: "A", address } }
    : { name, type: 28, class: 1, ttl: 30, data: { kind: "AAAA", address } };

const question = (name: string, type: number): Uint8Array =>
  buildDnsMessage({ id: 7, recursionDesired: true, questions: [{ name, type, class: 1 }] });

const answer = (name: string, answers: readonly DnsRecord[]): Uint8Array =>
  buildDnsMessage({ id: 7, response: true, questions: [{ name, type: answers[0]?.type ?? 1, class: 1 }], answers });

export function namesSuite(name: string, open: () => Ground): void {
  describe(name, () => {
    let lab: PacketLab;
    let nextPort = 40_000;
    beforeAll(() => {
      lab = new PacketLab(open());
      for (const pod of [CLIENT, RESOLVER]) {
        const entries = [
          any("ingress"),
          any("egress"),
          any("ingress", { protocol: UDP, port: 9, portPrefix: 16, precedence: 0xffff, deny: true }),
        ];
        lab.datapath.setPolicy({ endpoint: pod.id, revision: 1, ingressEnforced: true, egressEnforced: true, entries });
        lab.addPod(pod);
      }
      const pods = [CLIENT, RESOLVER].flatMap(({ address, address6, identity }) =>
        [address, address6].map((each) => ({ prefix: hostPrefix(each), identity })),
      );
      lab.datapath.syncIpcache([...worldRows(), ...pods]);
    }, 300_000);
    afterAll(() => lab?.close());

    /** Asks, and is answered. */
    async function resolve(
      server: number | Address,
      asked: string,
      records: readonly DnsRecord[],
      family: 4 | 6 = 4,
    ): Promise<void> {
      const port = nextPort++;
      const ends = { protocol: UDP, family };
      const [query] = await lab.probe([
        { ...ends, from: CLIENT.id, to: server, port: 53, sourcePort: port, payload: question(asked, 1) },
      ]);
      expect(query?.arrived).toBe(true);
      const [reply] = await lab.probe([
        { ...ends, from: server, to: CLIENT.id, port, sourcePort: 53, payload: answer(asked, records) },
      ]);
      expect(reply?.arrived).toBe(true);
    }

    /** What the flow of a new connection says of its destination. */
    async function namesOf(to: Address, from: Probe["from"] = CLIENT.id): Promise<readonly string[] | undefined> {
      const sourcePort = nextPort++;
      await lab.probe([{ from, to, protocol: TCP, port: 443, family: to.family, sourcePort }]);
      await lab.accounts();
      return lab.flows().find(({ l4 }) => l4?.protocol.case === "TCP" && l4.protocol.value.sourcePort === sourcePort)
        ?.destinationNames;
    }

    it.each([4, 6] as const)("a server outside, IPv%i", async (family) => {
      const address = family === 4 ? ip("203.0.113.7") : ip("2001:db8:7::1");
      expect(await namesOf(address)).toEqual([]);
      await resolve(
        SERVERS[family],
        "www.example.com",
        [
          { name: "www.example.com", type: 5, class: 1, ttl: 60, data: { kind: "CNAME", name: "Edge.example.net" } },
          recordOf("edge.example.net", address),
        ],
        family,
      );
      expect(await namesOf(address)).toEqual(["www.example.com"]);
      // What one workload has asked says nothing about another's connections.
      expect(await namesOf(address, RESOLVER.id)).toEqual([]);
      expect(lab.dns.rows(CLIENT.id)).toContainEqual(
        expect.objectContaining({ name: "www.example.com", address, ttl: 30 }),
      );
    });

    it("a workload that answers, and a second name of the address", async () => {
      const address = ip("203.0.113.8");
      await resolve(RESOLVER.id, "b.example.com", [recordOf("b.example.com", address)]);
      await resolve(RESOLVER.id, "a.example.com", [recordOf("a.example.com", address)]);
      expect(await namesOf(address)).toEqual(["a.example.com", "b.example.com"]);
    });

    it("nobody asked: nothing is learned", async () => {
      const before = lab.dns.counts;
      const address = ip("203.0.113.9");
      const payload = answer("forged.example.com", [recordOf("forged.example.com", address)]);
      const ends = { from: SERVERS[4], to: CLIENT.id, protocol: UDP, family: 4, sourcePort: 53, payload } as const;
      const [passed, denied] = await lab.probe([
        { ...ends, port: nextPort++ },
        { ...ends, port: 9 },
      ]);
      expect([passed?.arrived, denied?.arrived]).toEqual([true, false]);
      expect(await namesOf(address)).toEqual([]);
      expect(lab.dns.counts).toEqual(before);
    });

    it("what is no message is counted", async () => {
      const { malformed } = lab.dns.counts;
      const port = nextPort++;
      const ends = { protocol: UDP, family: 4 } as const;
      await lab.probe([{ ...ends, from: CLIENT.id, to: SERVERS[4], port: 53, sourcePort: port }]);
      await lab.probe([
        { ...ends, from: SERVERS[4], to: CLIENT.id, port, sourcePort: 53, payload: new Uint8Array(300).fill(255) },
      ]);
      await lab.accounts();
      expect(lab.dns.counts.malformed).toBe(malformed + 1);
    });
  });
}
