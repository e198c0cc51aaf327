/**
 * @module
 * Clients of one IP family, and what serves them of the other: what leaves is, byte for byte, what a translator written from RFC 7915 makes.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { SERVICE_FLAG } from "@skep/control";
import { buildPacket, parsePacket, verifyChecksums, type LayerSpec } from "@skep/net";
import { Device } from "../src/bpf/device.bpf.ts";
import { CALL_NAT_46X64, CALL_NAT_46X64_ON, CALL_NAT_46X64_TOO_LONG } from "../src/bpf/maps.bpf.ts";
import { encodeAddress, encodeU32 } from "../src/encode.ts";
import { NO_ROWS } from "../src/load-balancer.ts";
import { ip } from "./addresses.ts";
import { ADDRESSES, inward, OK, onward, PASS, REDIRECT, server, TX } from "./fixtures.ts";
import {
  FLAG,
  frame,
  HERE,
  hex,
  network,
  NUMBER,
  PacketGround,
  payload,
  segment,
  type Hop,
  type PacketMachine,
  type Passed,
  type Transport,
} from "./packet-ground.ts";
import { translated, type Ends } from "./rfc7915.ts";
import { backend, serviceRows } from "./socket-suite.ts";

const SIDES = {
  4: { ...ADDRESSES[4], router: "192.0.2.77" },
  6: { ...ADDRESSES[6], router: "2001:db8::77" },
} as const;
const PREFIX = "64:ff9b::";

/** Seeded (mulberry32). */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const ends = (source: string, sourcePort: number, destination: string, destinationPort: number): Ends => ({
  ...{ source: ip(source).bytes, destination: ip(destination).bytes, sourcePort, destinationPort },
});

const id = (bytes: Uint8Array, at: number): number => (bytes[at] ?? 0) * 256 + (bytes[at + 1] ?? 0);

/** The frame in the other family, with those numbers of IPv4 that the datapath drew. */
function expected(sent: Uint8Array, by: Ends, drawn: Uint8Array, { hop = onward, router = by.source } = {}): string {
  const inner = 14 + 20 + 8;
  const identifications = [id(drawn, 14 + 4), id(drawn, inner + 4)] as const;
  const packet = translated(sent.subarray(14), by, { identifications, router });
  if (!packet) return "no counterpart";
  const type = (packet[0] ?? 0) >> 4 === 4 ? [8, 0] : [0x86, 0xdd];
  return hex(Uint8Array.from([...hop.destination, ...hop.source, ...type, ...packet]));
}

export function nat46x64Suite(open: () => PacketMachine): void {
  let ground: PacketGround;

  beforeAll(() => {
    const under = open();
    const { path } = under.machine.processes.createCgroup(`skep-46x64-${under.pins.slice(-6).replaceAll("/", "-")}`);
    const config = { nat_46x64: 1, nat_46x64_gateway: 1 };
    ground = new PacketGround(under, { cgroup: path, config, loadBalancer: { maglevSize: 251, nat46x64: "gateway" } });
    const device = { address: encodeAddress(ip(SIDES[4].node)), address6: encodeAddress(ip(SIDES[6].node)) };
    ground.map("skep_devices").set(encodeU32(HERE), Device.encode(device));
  }, 300_000);
  afterAll(() => ground?.close());
  const ways = (mtu: number): void => {
    const macs = { source: onward.source, destination: onward.destination };
    const any = [ip("0.0.0.0"), ip("::")].map((address) => ({ address, length: 0 }));
    ground.datapath.syncNextHops(any.map((prefix) => ({ prefix, interfaceIndex: HERE, macs, mtu })));
  };
  beforeEach(() => {
    ground.datapath.removeEndpoint(server);
    ground.datapath.replaceLoadBalancer(NO_ROWS);
    for (const name of ["skep_ct", "skep_nat", "skep_fragments"]) ground.clear(name);
    ground.allow(server.id);
    ground.setEndpoint(server);
    ways(1500);
  });

  const serve = (client: 4 | 6, kind: Transport, at: string = SIDES[client === 4 ? 6 : 4].remote): void => {
    const flags = SERVICE_FLAG.EXTERNAL_IP | SERVICE_FLAG.ROUTABLE | SERVICE_FLAG.NAT_46X64;
    const protocol = NUMBER[kind];
    const backends = [backend(1, { address: at, port: 8080 }, protocol)];
    const where = { address: SIDES[client].vip, port: 80 };
    ground.datapath.replaceLoadBalancer(serviceRows({ id: 4, at: where, protocol, backends, flags }));
  };
  const sound = (data: Uint8Array): void =>
    expect(verifyChecksums(parsePacket(data)).filter(({ state }) => state === "wrong")).toEqual([]);

  const HOOKS = {
    tc: { program: "skep_from_net", on: REDIRECT, hop: inward },
    xdp: { program: "skep_xdp", on: TX, hop: onward },
  } as const;

  for (const family of [4, 6] as const) {
    const other = family === 4 ? 6 : 4;
    const [near, far] = [SIDES[family], SIDES[other]];

    for (const hook of ["tc", "xdp"] as const) {
      const { program, on, hop } = HOOKS[hook];
      const enter = (data: Uint8Array): Passed => ground.send(program, data);
      const becomes = ({ verdict, data }: Passed, sent: Uint8Array, by: Ends): void => {
        expect(hex(data)).toBe(expected(sent, by, data, { hop }));
        expect(verdict).toBe(on);
        sound(data);
      };

      describe(`${hook}, IPv${family} client, IPv${other} backend`, () => {
        const there = ends(far.node, 40_000, far.remote, 8080);
        const back = ends(near.vip, 80, near.client, 40_000);

        for (const kind of ["tcp", "udp", "sctp"] as const)
          test(`${kind}: there and back`, () => {
            serve(family, kind);
            const draw = random(family + kind.length);
            for (const flags of [FLAG.SYN, FLAG.ACK, FLAG.ACK, FLAG.FIN]) {
              const over = family === 4 ? { tos: draw(256), dontFragment: draw(2) > 0 } : { trafficClass: draw(256) };
              const body = payload(draw(1300));
              const sent = frame(
                inward,
                network(near.client, near.vip, 2 + draw(200), over),
                segment(kind, [40_000, 80], flags),
                body,
              );
              becomes(enter(sent), sent, there);
              const tos = other === 4 ? { tos: draw(256) } : { trafficClass: draw(256) };
              const answer = frame(
                inward,
                network(far.remote, far.node, 2 + draw(200), tos),
                segment(kind, [8080, 40_000], flags | FLAG.ACK),
                payload(draw(1300)),
              );
              becomes(enter(answer), answer, back);
            }
          });
      });
    }

    describe(`IPv${family} client, IPv${other} backend`, () => {
      const there = ends(far.node, 40_000, far.remote, 8080);
      const back = ends(near.vip, 80, near.client, 40_000);
      const enter = (data: Uint8Array): Passed => ground.send("skep_from_net", data);
      const question = (kind: Transport, size = 30, over: object = {}): Uint8Array =>
        frame(inward, network(near.client, near.vip, 60, over), segment(kind, [40_000, 80]), payload(size));
      const answer = (kind: Transport, size = 30): Uint8Array =>
        frame(inward, network(far.remote, far.node, 60), segment(kind, [8080, 40_000], FLAG.ACK), payload(size));

      test.each(["tcp", "udp"] as const)("%s: what errors say, and what they quote", (kind) => {
        serve(family, kind);
        const draw = random(7 * family);
        const gone = enter(question(kind, 300)).data;
        const come = enter(answer(kind, 300)).data;
        const codes = (types: readonly number[], each: number): [number, number][] =>
          types.flatMap((type) => Array.from({ length: each }, (_, code): [number, number] => [type, code]));
        const all = (is4: boolean): [number, number][] => (is4 ? codes([3, 11, 12], 17) : codes([1, 2, 3, 4], 6));
        const tell = (
          quoted: Uint8Array,
          is4: boolean,
          [from, to]: [string, string],
          by: Ends,
          router: string,
        ): void => {
          for (const [type, code] of all(is4)) {
            const [low, high] = [draw(60), draw(3) * 700];
            const rest = is4 ? (type === 12 ? (low % 24) * 0x1000000 : high) : type === 4 ? low : 1280 + high;
            const size = [28, 48, 160][draw(3)] ?? 28;
            const about = quoted.subarray(14, 14 + size + (is4 ? 0 : 20));
            const error: LayerSpec = { kind: is4 ? "icmp" : "icmpv6", type, code, rest };
            const sent = buildPacket([
              { kind: "ethernet", ...inward },
              network(from, to, 50, is4 ? { protocol: 1 } : { nextHeader: 58 }),
              error,
              { kind: "payload", bytes: about },
            ]);
            const passed = enter(sent);
            const wanted = expected(sent, by, passed.data, { hop: inward, router: ip(router).bytes });
            if (wanted === "no counterpart") {
              expect(passed.events).toMatchObject([{ type: 1, reason: is4 ? 187 : 188 }]);
              continue;
            }
            expect(hex(passed.data)).toBe(wanted);
            expect(passed.verdict).toBe(REDIRECT);
          }
        };
        const seen = other === 4 ? `${PREFIX}${far.router}` : SIDES[4].node;
        tell(gone, other === 4, [far.router, far.node], back, seen);
        tell(gone, other === 4, [far.remote, far.node], back, near.vip);
        tell(come, family === 4, [near.router, near.vip], there, far.node);
      });

      test("fragments", () => {
        serve(family, "udp");
        const parts: LayerSpec[][] = [[segment("udp", [40_000, 80]), payload(64)], [payload(80)], [payload(33)]];
        parts.forEach((layers, at) => {
          const [offset, moreFragments] = [at === 0 ? 0 : at === 1 ? 72 : 152, at < 2];
          const head: LayerSpec[] =
            family === 4
              ? [network(near.client, near.vip, 60, { protocol: 17, fragmentOffset: offset, moreFragments })]
              : [
                  network(near.client, near.vip, 60),
                  { kind: "ipv6-fragment", nextHeader: 17, fragmentOffset: offset, moreFragments, identification: 77 },
                ];
          const sent = frame(inward, ...head, ...layers);
          const { data, verdict } = enter(sent);
          expect(hex(data)).toBe(expected(sent, there, data, { hop: inward }));
          expect(verdict).toBe(REDIRECT);
        });
      });

      if (family === 4)
        test.each([0, 1, 33, 64, 500, 1401])("UDP without a checksum gets one: %i bytes", (size) => {
          serve(family, "udp");
          const sent = question("udp", size);
          sent.fill(0, 14 + 20 + 6, 14 + 20 + 8);
          const { data, verdict } = enter(sent);
          expect(hex(data)).toBe(expected(sent, there, data, { hop: inward }));
          expect(verdict).toBe(REDIRECT);
          sound(data);
          expect(ground.send("skep_xdp", sent)).toMatchObject({ verdict: PASS });
        });

      test("who sends too much for the other family is told how much is not: 136", () => {
        serve(family, "udp");
        enter(question("udp"));
        ways(1400);
        const limit = family === 4 ? 1380 : 1420;
        const headers = family === 4 ? 28 : 48;
        expect(enter(question("udp", limit - headers)).verdict).toBe(REDIRECT);
        const { data, events } = enter(question("udp", limit - headers + 1));
        expect(events).toMatchObject([{ type: 1, reason: 136 }]);
        const { layers } = parsePacket(data);
        expect(layers[1]).toMatchObject({ source: ip(near.vip), destination: ip(near.client) });
        const told = family === 4 ? { type: 3, code: 4, rest: limit } : { type: 2, code: 0, rest: limit };
        expect(layers[2]).toMatchObject(told);
        sound(data);
        const [reach, over] = [other === 4 ? 1380 : 1420, other === 4 ? 28 : 48];
        expect(enter(answer("udp", reach - over)).verdict).toBe(REDIRECT);
        const refused = enter(answer("udp", reach - over + 1));
        expect(refused.events).toMatchObject([{ type: 1, reason: 136 }]);
        expect(parsePacket(refused.data).layers[1]).toMatchObject({
          source: ip(far.node),
          destination: ip(far.remote),
        });
      });

      test("a backend here: by its own hook, whose policy knows the client as one of the world", () => {
        serve(family, "tcp", SIDES[other].local);
        const seen = family === 4 ? `${PREFIX}${near.client}` : "169.254.42.2";
        const sent = question("tcp");
        const { data, verdict } = enter(sent);
        const hop = { source: server.hostMac, destination: server.mac };
        expect(hex(data)).toBe(expected(sent, ends(seen, 40_000, SIDES[other].local, 8080), data, { hop }));
        expect(verdict).toBe(REDIRECT);
        ground.setEndpoint({ ...server, interfaceIndex: HERE });
        const arrived = ground.send("skep_to_ep", data);
        expect(arrived.verdict).toBe(OK);
        expect(arrived.events).toMatchObject([{ type: 4, destinationEndpoint: server.id, sourceIdentity: 2 }]);
        const up = { source: server.mac, destination: server.hostMac };
        const reply = frame(
          up,
          network(SIDES[other].local, seen),
          segment("tcp", [8080, 40_000], FLAG.ACK),
          payload(9),
        );
        const answered = ground.send("skep_from_ep", reply);
        expect(hex(answered.data)).toBe(expected(reply, back, answered.data, { hop: up }));
        expect(answered.verdict).toBe(OK);
        ground.allow(server.id, []);
        expect(ground.send("skep_to_ep", data).events).toMatchObject([{ type: 1, reason: 133 }]);
      });
    });
  }

  describe("the gateway", () => {
    const { client } = SIDES[6];
    const { node, remote, router } = SIDES[4];
    const host = `${PREFIX}${remote}`;
    const enter = (data: Uint8Array): Passed => ground.send("skep_from_net", data);
    const becomes = ({ verdict, data }: Passed, sent: Uint8Array, by: Ends, says = by.source): void => {
      expect(hex(data)).toBe(expected(sent, by, data, { hop: inward, router: says }));
      expect(verdict).toBe(REDIRECT);
    };

    test.each(["tcp", "udp", "sctp"] as const)("%s: to the IPv4 host that the address names, and back", (kind) => {
      const sent = frame(inward, network(client, host), segment(kind, [40_000, 443]), payload(55));
      becomes(enter(sent), sent, ends(node, 40_000, remote, 443));
      const answer = frame(inward, network(remote, node), segment(kind, [443, 40_000], FLAG.ACK), payload(700));
      becomes(enter(answer), answer, ends(host, 443, client, 40_000));
      const error: LayerSpec = { kind: "icmp", type: 3, code: 4, rest: 1300 };
      const about: LayerSpec[] = [network(node, remote), segment(kind, [40_000, 443]), payload(8)];
      const told = frame(inward, network(router, node), error, ...about);
      const says = ip(`${PREFIX}${router}`).bytes;
      becomes(enter(told), told, ends(host, 443, client, 40_000), says);
    });

    test("echo", () => {
      const echo = (kind: "icmp" | "icmpv6", type: number, identifier: number): LayerSpec => ({
        ...{ kind, type, code: 0, rest: identifier * 0x10000 + 9 },
      });
      const sent = frame(inward, network(client, host), echo("icmpv6", 128, 50_000), payload(56));
      becomes(enter(sent), sent, ends(node, 50_000, remote, 0));
      const answer = frame(inward, network(remote, node), echo("icmp", 0, 50_000), payload(56));
      becomes(enter(answer), answer, ends(host, 0, client, 50_000));
      const about: LayerSpec[] = [network(node, remote), echo("icmp", 8, 50_000), payload(8)];
      const told = frame(inward, network(router, node), { kind: "icmp", type: 11, code: 0, rest: 0 }, ...about);
      becomes(enter(told), told, ends(host, 0, client, 50_000), ip(`${PREFIX}${router}`).bytes);
    });

    test("two clients with one port do not meet", () => {
      const from = (address: string): Uint8Array =>
        frame(inward, network(address, host), segment("tcp", [41_000, 443]), payload(1));
      const first = from(client);
      becomes(enter(first), first, ends(node, 41_000, remote, 443));
      const second = from("2001:db8:66::1");
      const { data } = enter(second);
      const port = id(data, 14 + 20);
      expect(port).not.toBe(41_000);
      becomes({ ...enter(second) }, second, ends(node, port, remote, 443));
    });

    test("a workload's packets leave the same way", () => {
      ground.setEndpoint({ ...server, interfaceIndex: HERE });
      const sent = frame(inward, network(SIDES[6].local, host), segment("tcp", [42_000, 443]), payload(5));
      const { data, verdict } = ground.send("skep_to_net", sent);
      expect(hex(data)).toBe(expected(sent, ends(node, 42_000, remote, 443), data, { hop: inward }));
      expect(verdict).toBe(REDIRECT);
      const answer = frame(inward, network(remote, node), segment("tcp", [443, 42_000], FLAG.ACK), payload(5));
      const back = enter(answer);
      const wanted = expected(answer, ends(host, 443, SIDES[6].local, 42_000), back.data, { hop: inward });
      expect(hex(back.data)).toBe(wanted);
      expect(back.verdict).toBe(OK);
    });
  });
}

/** The other node, and frames in tunnels: locally administered, "SKEP" and one of two numbers. */
const NODE_BEHIND = ip("192.0.2.99");
const inTunnel: Hop = {
  source: Uint8Array.of(0x0e, 0x53, 0x4b, 0x45, 0x50, 2),
  destination: Uint8Array.of(0x0e, 0x53, 0x4b, 0x45, 0x50, 1),
};

/** Backends of the other family that are workloads of another node, behind a tunnel. */
export function nat46x64TunnelSuite(open: () => PacketMachine): void {
  const MTU = 1450;
  const overlay = { address: "10.9.0.1", address6: "fd00::1" };
  let ground: PacketGround;
  beforeAll(() => {
    const under = open();
    const { path } = under.machine.processes.createCgroup(`skep-46t-${under.pins.slice(-6).replaceAll("/", "-")}`);
    const config = { nat_46x64: 1, overlay_interface: HERE, overlay_mtu: MTU };
    ground = new PacketGround(under, { cgroup: path, config, loadBalancer: { maglevSize: 251, nat46x64: "services" } });
    for (const [place, program] of [
      [CALL_NAT_46X64, "skep_46x64"],
      [CALL_NAT_46X64_ON, "skep_46x64_on"],
      [CALL_NAT_46X64_TOO_LONG, "skep_46x64_long"],
    ] as const)
      ground.map("skep_calls").setProgram(encodeU32(place), ground.program(program));
    const device = { address: encodeAddress(ip(overlay.address)), address6: encodeAddress(ip(overlay.address6)) };
    ground.map("skep_devices").set(encodeU32(HERE), Device.encode(device));
    ground.datapath.syncIpcache(
      ([4, 6] as const).map((family) => {
        const prefix = { address: ip(SIDES[family].remote), length: family === 4 ? 32 : 128 };
        return { prefix, identity: 300, tunnel: NODE_BEHIND };
      }),
    );
    const macs = { source: onward.source, destination: onward.destination };
    const any = [ip("0.0.0.0"), ip("::")].map((address) => ({ address, length: 0 }));
    ground.datapath.syncNextHops(any.map((prefix) => ({ prefix, interfaceIndex: HERE, macs, mtu: 1500 })));
  }, 300_000);
  afterAll(() => ground?.close());

  describe.each([4, 6] as const)("IPv%i client", (family) => {
    const other = family === 4 ? 6 : 4;
    const [near, far] = [SIDES[family], SIDES[other]];
    const node = other === 4 ? overlay.address : overlay.address6;
    const question = (size: number): Uint8Array =>
      frame(
        inward,
        network(near.client, near.vip, 60, family === 4 ? { dontFragment: true } : {}),
        segment("udp", [40_000, 80]),
        payload(size),
      );
    beforeEach(() => {
      for (const name of ["skep_ct", "skep_nat"]) ground.clear(name);
      const flags = SERVICE_FLAG.EXTERNAL_IP | SERVICE_FLAG.ROUTABLE | SERVICE_FLAG.NAT_46X64;
      const backends = [backend(1, { address: far.remote, port: 8080 }, 17)];
      const at = { address: near.vip, port: 80 };
      ground.datapath.replaceLoadBalancer(serviceRows({ id: 4, at, protocol: 17, backends, flags }));
    });

    test("into the tunnel, with the overlay's address", () => {
      const sent = question(55);
      const { verdict, data, events } = ground.send("skep_from_net", sent);
      expect(hex(data)).toBe(expected(sent, ends(node, 40_000, far.remote, 8080), data, { hop: inTunnel }));
      expect(verdict).toBe(REDIRECT);
      expect(events.filter(({ type }) => type === 1)).toEqual([]);
      expect(verifyChecksums(parsePacket(data)).filter(({ state }) => state === "wrong")).toEqual([]);
    });

    test("what the tunnel makes too long is refused: 136, with what is left for the client's packets", () => {
      // The other family's header is 20 bytes longer, or shorter.
      const limit = family === 4 ? MTU - 20 : MTU + 20;
      const headers = family === 4 ? 28 : 48;
      expect(ground.send("skep_from_net", question(limit - headers))).toMatchObject({ verdict: REDIRECT });
      const { data, events } = ground.send("skep_from_net", question(limit - headers + 1));
      expect(events.filter(({ type }) => type === 1)).toMatchObject([{ reason: 136 }]);
      const { layers } = parsePacket(data);
      expect(layers[1]).toMatchObject({ source: ip(near.vip), destination: ip(near.client) });
      expect(layers[2]).toMatchObject(family === 4 ? { type: 3, code: 4, rest: limit } : { type: 2, rest: limit });
    });
  });
}
