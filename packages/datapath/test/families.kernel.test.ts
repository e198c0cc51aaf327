// Both families, fragments, audit and the host's own policy: the programs in the kernel on packets of the independent builder.
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { findLayer, parsePacket, verifyChecksums, type LayerSpec } from "@skep/net";
import type { DatapathEndpoint } from "../src/index.ts";
import { entry, frame, ip, mac, TestDatapath, type Sent } from "./test-datapath.ts";

const privileged = process.getuid?.() === 0;
if (!privileged) console.warn("skipped: the datapath's tests need root and BPF");

const [OK, SHOT, REDIRECT] = [0, 2, 7];
const [SYN, ACK] = [0x02, 0x10];
const HOST_ENDPOINT = 65_535;

const client: DatapathEndpoint = {
  ...{ id: 11, identity: 1001, address: ip("10.9.0.2"), address6: ip("fd00::2") },
  ...{ interfaceName: "lo", interfaceIndex: 1, mac: mac(1, 1), hostMac: mac(1, 2) },
};
const server: DatapathEndpoint = {
  ...{ id: 12, identity: 1002, address: ip("10.9.0.3"), address6: ip("fd00::3") },
  ...{ interfaceName: "none", interfaceIndex: 4095, mac: mac(2, 1), hostMac: mac(2, 2) },
};
const egress = entry({ direction: "egress", cookie: 3 });
const port80 = entry({ protocol: 6, port: 80, portPrefix: 16 });

const v6 = (from: string, to: string): LayerSpec => ({ kind: "ipv6", source: ip(from), destination: ip(to) });
const v4 = (from: string, to: string, over: object = {}): LayerSpec => ({
  ...{ kind: "ipv4", source: ip(from), destination: ip(to) },
  ...over,
});
const tcp = (sourcePort: number, destinationPort: number, flags = SYN): LayerSpec => ({
  ...{ kind: "tcp", sourcePort, destinationPort, flags },
});
const udp = (sourcePort: number, destinationPort: number): LayerSpec => ({ kind: "udp", sourcePort, destinationPort });

describe.skipIf(!privileged)("the datapath, both families", () => {
  let host: TestDatapath;

  beforeAll(() => {
    host = new TestDatapath({ hostFirewall: true });
  });
  afterAll(() => host?.close());
  beforeEach(() => {
    for (const endpoint of [client, server]) host.datapath.removeEndpoint(endpoint);
    host.datapath.syncIpcache([
      { prefix: { address: ip("0.0.0.0"), length: 0 }, identity: 9 },
      { prefix: { address: ip("::"), length: 0 }, identity: 10 },
      { prefix: { address: ip("10.9.0.1"), length: 32 }, identity: 1 },
    ]);
    for (const endpoint of [client, server]) {
      host.setPolicy(endpoint.id, [egress, port80]);
      host.setEndpoint(endpoint);
    }
    host.setPolicy(HOST_ENDPOINT, [egress, port80]);
    const nothing = mac(0, 0);
    host.setEndpoint({
      ...{ id: HOST_ENDPOINT, identity: 1, address: ip("10.9.0.1"), interfaceName: "", interfaceIndex: 0 },
      ...{ mac: nothing, hostMac: nothing },
    });
  });

  const drops = (sent: Sent): number | undefined => {
    expect(sent.verdict).toBe(SHOT);
    return sent.events.find(({ type }) => type === 1)?.reason;
  };

  describe("IPv6", () => {
    const request = frame(v6("fd00::2", "fd00::3"), tcp(40_000, 80));
    const reply = frame(v6("fd00::3", "fd00::2"), tcp(80, 40_000, SYN | ACK));

    it("is delivered: rewritten for the peer, one hop less, checksums right, one event", () => {
      const { verdict, data, events } = host.send(request);
      expect(verdict).toBe(REDIRECT);
      expect([...data.subarray(0, 12)]).toEqual([...server.mac, ...server.hostMac]);
      const packet = parsePacket(data);
      expect(findLayer(packet, "ipv6")?.hopLimit).toBe(63);
      expect(verifyChecksums(packet).map(({ state }) => state)).toEqual(["right"]);
      expect(events).toMatchObject([{ type: 4, reason: 0, destinationEndpoint: 12, cookie: 7, egressCookie: 3 }]);
      expect(events[0]?.source).toEqual(ip("fd00::2"));
    });

    it("replies pass by the connection, and nothing else that no policy allows", () => {
      host.setPolicy(client.id, [egress]);
      expect(drops(host.send(reply, "skep_to_ep"))).toBe(133);
      host.send(request);
      expect(host.send(reply, "skep_to_ep")).toMatchObject({ verdict: OK, events: [{ type: 4, reply: true }] });
      expect(drops(host.send(frame(v6("fd00::2", "fd00::3"), tcp(40_001, 81))))).toBe(133);
    });

    it("132: another's address, and the IPv4 address in disguise", () => {
      expect(drops(host.send(frame(v6("fd00::9", "fd00::3"), tcp(1, 80))))).toBe(132);
      expect(drops(host.send(frame(v6("::ffff:10.9.0.2", "fd00::3"), tcp(1, 80))))).toBe(132);
    });

    it("passes over extension headers", () => {
      const options: LayerSpec[] = [
        { kind: "ipv6-options", place: "hop-by-hop", options: [] },
        { kind: "ipv6-options", place: "destination", options: [] },
      ];
      expect(host.send(frame(v6("fd00::2", "fd00::3"), ...options, tcp(40_002, 80))).verdict).toBe(REDIRECT);
      expect(drops(host.send(frame(v6("fd00::2", "fd00::3"), ...options, tcp(40_003, 81))))).toBe(133);
      const many: LayerSpec[] = Array.from({ length: 7 }, () => ({
        ...{ kind: "ipv6-options", place: "destination", options: [] },
      }));
      expect(drops(host.send(frame(v6("fd00::2", "fd00::3"), ...many, tcp(40_004, 80))))).toBe(156);
    });

    it("finds ports behind an authentication header, whatever its length, and nothing where nothing follows", () => {
      for (const size of [12, 16, 20]) {
        const signed: LayerSpec = { kind: "ah", spi: 7, sequence: 1, icv: new Uint8Array(size) };
        expect(host.send(frame(v6("fd00::2", "fd00::3"), signed, tcp(40_005, 80))).verdict).toBe(REDIRECT);
        expect(drops(host.send(frame(v6("fd00::2", "fd00::3"), signed, tcp(40_006, 81))))).toBe(133);
      }
      const nothing = { ...v6("fd00::2", "fd00::3"), nextHeader: 59 } as LayerSpec;
      expect(drops(host.send(frame(nothing, tcp(40_007, 80))))).toBe(156);
    });

    it("echo requests are asked of the policy by their type, echo replies pass", () => {
      const echo = (type: number, from: string, to: string): Uint8Array =>
        frame(v6(from, to), { kind: "icmpv6", type, rest: 0x12340001 }, { kind: "payload", bytes: new Uint8Array(8) });
      expect(drops(host.send(echo(128, "fd00::2", "fd00::3")))).toBe(133);
      host.setPolicy(server.id, [egress, entry({ protocol: 58, port: 128, portPrefix: 16 })]);
      expect(host.send(echo(128, "fd00::2", "fd00::3")).verdict).toBe(REDIRECT);
      expect(host.send(echo(129, "fd00::3", "fd00::2"), "skep_to_ep").verdict).toBe(OK);
    });

    it("leaves neighbour discovery to the stack, and takes no router's word from a workload: 176", () => {
      const message = (type: number): Uint8Array =>
        frame(
          v6("fd00::2", "ff02::1"),
          { kind: "icmpv6", type, rest: 0 },
          { kind: "payload", bytes: new Uint8Array(16) },
        );
      expect(host.send(message(135))).toMatchObject({ verdict: OK, events: [] });
      expect(drops(host.send(message(134)))).toBe(176);
      expect(drops(host.send(message(137)))).toBe(176);
    });

    it("an ICMPv6 error about a connection passes", () => {
      host.setPolicy(client.id, [egress]);
      const about = (port: number): Uint8Array =>
        frame(
          v6("2001:db8::1", "fd00::2"),
          { kind: "icmpv6", type: 1, code: 4, rest: 0 },
          v6("fd00::2", "fd00::3"),
          tcp(40_000, port),
        );
      expect(drops(host.send(about(80), "skep_to_ep"))).toBe(133);
      host.send(request);
      expect(host.send(about(80), "skep_to_ep").verdict).toBe(OK);
      expect(drops(host.send(about(81), "skep_to_ep"))).toBe(133);
    });
  });

  describe("ICMP errors", () => {
    it("pass from a router, not from a workload that is no end of the connection", () => {
      // The server opens a connection to the outside; then the interface of test runs is the client's again.
      host.setEndpoint({ ...client, interfaceIndex: 4094 });
      host.setEndpoint({ ...server, interfaceIndex: 1 });
      expect(host.send(frame(v4("10.9.0.3", "192.0.2.9"), tcp(40_000, 80))).verdict).toBe(OK);
      const about = (from: string): Uint8Array =>
        frame(
          v4(from, "10.9.0.3"),
          { kind: "icmp", type: 3, code: 1, rest: 0 },
          v4("10.9.0.3", "192.0.2.9"),
          tcp(40_000, 80),
        );
      expect(host.send(about("192.0.2.1"), "skep_to_ep").verdict).toBe(OK);
      host.setEndpoint({ ...server, interfaceIndex: 4094 });
      host.setEndpoint({ ...client, interfaceIndex: 1 });
      host.setPolicy(client.id, [port80]);
      expect(drops(host.send(about("10.9.0.2")))).toBe(133);
    });
  });

  describe("fragments", () => {
    const part = (over: object, ...rest: LayerSpec[]): Uint8Array =>
      frame(v4("10.9.0.2", "10.9.0.3", { identification: 77, ...over }), ...rest);
    const later: LayerSpec = { kind: "payload", bytes: new Uint8Array(32) };

    it("belong to the connection of the first", () => {
      host.setPolicy(server.id, [egress, entry({ protocol: 17, port: 53, portPrefix: 16 })]);
      const second = part({ protocol: 17, fragmentOffset: 16 }, later);
      expect(drops(host.send(second))).toBe(175);
      const first = part({ protocol: 17, moreFragments: true }, udp(4000, 53), {
        kind: "payload",
        bytes: new Uint8Array(8),
      });
      expect(host.send(first).verdict).toBe(REDIRECT);
      expect(host.send(second)).toMatchObject({ verdict: REDIRECT, events: [] });
      // Another packet's fragment has another number.
      expect(drops(host.send(part({ protocol: 17, fragmentOffset: 16, identification: 78 }, later)))).toBe(175);
    });

    it("of what is denied are denied", () => {
      const first = part({ protocol: 17, moreFragments: true, identification: 80 }, udp(4000, 54), later);
      expect(drops(host.send(first))).toBe(133);
      expect(drops(host.send(part({ protocol: 17, fragmentOffset: 40, identification: 80 }, later)))).toBe(133);
    });

    it("of IPv6 as well", () => {
      host.setPolicy(server.id, [egress, entry({ protocol: 17, port: 53, portPrefix: 16 })]);
      const piece = (fragmentOffset: number, moreFragments: boolean, ...rest: LayerSpec[]): Uint8Array =>
        frame(
          v6("fd00::2", "fd00::3"),
          {
            kind: "ipv6-fragment",
            fragmentOffset,
            moreFragments,
            identification: 9,
            ...(fragmentOffset > 0 ? { nextHeader: 17 } : {}),
          },
          ...rest,
        );
      expect(drops(host.send(piece(40, false, later)))).toBe(175);
      expect(host.send(piece(0, true, udp(4001, 53), later)).verdict).toBe(REDIRECT);
      expect(host.send(piece(40, false, later)).verdict).toBe(REDIRECT);
    });
  });

  it("SCTP is asked of the policy by its port", () => {
    const packet = (port: number): Uint8Array =>
      frame(v4("10.9.0.2", "10.9.0.3"), { kind: "sctp", sourcePort: 5000, destinationPort: port });
    host.setPolicy(server.id, [egress, entry({ protocol: 132, port: 80, portPrefix: 16 })]);
    expect(host.send(packet(80))).toMatchObject({
      verdict: REDIRECT,
      events: [{ protocol: 132, destinationPort: 80 }],
    });
    expect(drops(host.send(packet(81)))).toBe(133);
  });

  it("audit: what would be denied passes and is told, once for each policy", () => {
    const packet = (flags: number): Uint8Array => frame(v4("10.9.0.2", "10.9.0.3"), tcp(41_000, 81, flags));
    host.setPolicy(server.id, [egress, entry({ protocol: 6, audit: true, cookie: 21 })]);
    const first = host.send(packet(SYN));
    expect(first.verdict).toBe(REDIRECT);
    expect(first.events).toMatchObject([
      { type: 5, reason: 3, direction: "ingress", endpoint: 12, cookie: 21 },
      { type: 4, cookie: 21 },
    ]);
    expect(host.send(packet(ACK)).events).toEqual([]);
    host.setPolicy(server.id, [egress, entry({ protocol: 6, audit: true, cookie: 22 })]);
    expect(host.send(packet(ACK)).events).toMatchObject([{ type: 5, reason: 3, cookie: 22 }]);
  });

  it("single entries change in place, and open connections with them", () => {
    const packet = frame(v4("10.9.0.2", "10.9.0.3"), tcp(42_000, 82, SYN));
    const allow82 = entry({ identity: 1001, protocol: 6, port: 82, portPrefix: 16 });
    expect(drops(host.send(packet))).toBe(133);
    host.datapath.updatePolicy(server.id, { version: 2, put: [allow82], take: [] });
    expect(host.send(packet).verdict).toBe(REDIRECT);
    expect(host.datapath.policyOf(server.id)).toHaveLength(3);
    host.datapath.updatePolicy(server.id, { version: 3, put: [], take: [allow82] });
    expect(drops(host.send(frame(v4("10.9.0.2", "10.9.0.3"), tcp(42_000, 82, ACK))))).toBe(133);
    // What is gone for one end is gone for its answers too: the server has the interface of test runs now.
    host.setEndpoint({ ...client, interfaceIndex: 4094 });
    host.setEndpoint({ ...server, interfaceIndex: 1 });
    const answer = host.send(frame(v4("10.9.0.3", "10.9.0.2"), tcp(82, 42_000, ACK)));
    expect(drops(answer)).toBe(133);
    expect(answer.events[0]).toMatchObject({ direction: "egress", endpoint: server.id, reply: true });
    expect(host.datapath.policyOf(server.id)).toHaveLength(2);
  });

  describe("the host's own policy", () => {
    const toHost = (port: number, flags = SYN): Uint8Array =>
      frame(v4("10.9.0.2", "10.9.0.1"), tcp(43_000, port, flags));
    const fromHost = (port: number): Uint8Array => frame(v4("10.9.0.1", "10.9.0.2"), tcp(44_000, port));

    it("is asked for what a workload sends to it", () => {
      expect(host.send(toHost(80))).toMatchObject({ verdict: OK, events: [{ type: 4, reason: 3, egressCookie: 3 }] });
      const denied = host.send(toHost(81));
      expect(drops(denied)).toBe(133);
      expect(denied.events[0]).toMatchObject({ direction: "ingress", endpoint: HOST_ENDPOINT });
    });

    it("is asked for what it sends to a workload", () => {
      expect(host.send(fromHost(80), "skep_to_ep").verdict).toBe(OK);
      host.setPolicy(HOST_ENDPOINT, [port80]);
      const denied = host.send(frame(v4("10.9.0.1", "10.9.0.2"), tcp(44_001, 80)), "skep_to_ep");
      expect(drops(denied)).toBe(133);
      expect(denied.events[0]).toMatchObject({ direction: "egress", endpoint: HOST_ENDPOINT });
      // Answers to what the workload opened pass.
      expect(host.send(toHost(80)).verdict).toBe(OK);
      expect(host.send(frame(v4("10.9.0.1", "10.9.0.2"), tcp(80, 43_000, ACK)), "skep_to_ep").verdict).toBe(OK);
    });
  });
});
