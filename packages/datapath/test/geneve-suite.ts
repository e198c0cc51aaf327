/**
 * @module
 * Backends that answer clients themselves, told by an option of a tunnel to their node, on whichever machine: at tc and XDP, both families inside and
 * outside, byte for byte what the independent builder makes; and what the other node makes of it.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { SERVICE_FLAG } from "@skep/control";
import { findLayer, type LayerSpec, parsePacket, verifyChecksums } from "@skep/net";
import { Device } from "../src/bpf/device.bpf.ts";
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
} from "./packet-ground.ts";
import { backend, serviceRows } from "./socket-suite.ts";

const MTU = 1500;

/** Ends of tunnels: this node, and the backend's. */
const NODES = { 4: ["192.0.2.1", "192.0.2.8"], 6: ["2001:db8::1", "2001:db8::8"] } as const;

const INNER: Hop = {
  source: Uint8Array.of(0x0e, 0x53, 0x4b, 0x45, 0x50, 2),
  destination: Uint8Array.of(0x0e, 0x53, 0x4b, 0x45, 0x50, 1),
};

/** What was asked, as Cilium's nodes write it: everything in the order of the network. */
export function askedOption(address: string, port: number): { class: number; type: number; data: Uint8Array } {
  const data = Uint8Array.of(...ip(address).bytes, port >> 8, port & 0xff, 0, 0);
  return { class: 0x014b, type: 0x81, data };
}

/** All in front of the packet in the tunnel. */
function tunnel(
  outer: 4 | 6,
  sourcePort: number,
  options: readonly ReturnType<typeof askedOption>[],
  ends: readonly [string, string] = NODES[outer],
): LayerSpec[] {
  return [
    network(...ends, 64, outer === 4 ? { identification: 0 } : {}),
    { kind: "udp", sourcePort, destinationPort: 6081, checksum: 0 },
    { kind: "geneve", vni: 2, options },
    { kind: "ethernet", ...INNER },
  ];
}

export function geneveSuite(open: () => PacketMachine): void {
  let ground: PacketGround;

  beforeAll(() => {
    const under = open();
    const { path } = under.machine.processes.createCgroup(`skep-geneve-${under.pins.slice(-6).replaceAll("/", "-")}`);
    const loadBalancer = { maglevSize: 251, dispatch: "geneve" as const };
    ground = new PacketGround(under, { cgroup: path, loadBalancer, config: { lb_dispatch: 2 } });
    const device = { address: encodeAddress(ip(NODES[4][0])), address6: encodeAddress(ip(NODES[6][0])) };
    ground.map("skep_devices").set(encodeU32(HERE), Device.encode(device));
    const any = [ip("0.0.0.0"), ip("::")].map((address) => ({ address, length: 0 }));
    ground.datapath.syncNextHops(any.map((prefix) => ({ prefix, interfaceIndex: HERE, mtu: MTU, macs: onward })));
    ground.allow(server.id);
    ground.setEndpoint(server);
  }, 300_000);
  afterAll(() => ground?.close());
  beforeEach(() => {
    ground.datapath.replaceLoadBalancer(NO_ROWS);
    for (const name of ["skep_ct", "skep_nat"]) ground.clear(name);
  });

  const serve = (family: 4 | 6, outer: 4 | 6 | null, protocol: number): void => {
    const { vip, remote } = ADDRESSES[family];
    const prefix = { address: ip(remote), length: family === 4 ? 32 : 128 };
    ground.datapath.syncIpcache([{ prefix, identity: 300, ...(outer ? { tunnel: ip(NODES[outer][1]) } : {}) }]);
    const flags = SERVICE_FLAG.EXTERNAL_IP | SERVICE_FLAG.ROUTABLE | SERVICE_FLAG.DSR;
    const backends = [backend(1, { address: remote, port: 8080 }, protocol)];
    ground.datapath.replaceLoadBalancer(
      serviceRows({ id: 4, at: { address: vip, port: 80 }, protocol, backends, flags }),
    );
  };
  const reason = ({ events }: Passed): number => events.find(({ type }) => type === 1)?.reason ?? 0;

  for (const family of [4, 6] as const) {
    const { client, vip, local, remote } = ADDRESSES[family];

    for (const [hook, program, on, way] of [
      ["tc", "skep_from_net", REDIRECT, inward],
      ["xdp", "skep_xdp", TX, onward],
    ] as const)
      for (const outer of [4, 6] as const)
        describe(`${hook}, IPv${family} over IPv${outer}`, () => {
          for (const kind of ["tcp", "udp", "sctp"] as const)
            test(`${kind}: goes to the backend's node, which is told what was asked`, () => {
              serve(family, outer, NUMBER[kind]);
              const ports = new Set<number>();
              for (const [flags, size] of [
                [FLAG.SYN, 0],
                [FLAG.ACK, 33],
                [FLAG.ACK, 1000],
              ] as const) {
                const sent = ground.send(
                  program,
                  frame(inward, network(client, vip, 60), segment(kind, [40_100, 80], flags), payload(size)),
                );
                const told = kind !== "tcp" || flags === FLAG.SYN ? [askedOption(vip, 80)] : [];
                const parsed = parsePacket(sent.data);
                const { sourcePort = 0 } = findLayer(parsed, "udp") ?? {};
                ports.add(sourcePort);
                expect(sourcePort).toBeGreaterThanOrEqual(49_152);
                const inside = [network(client, remote, 59), segment(kind, [40_100, 8080], flags), payload(size)];
                expect(hex(sent.data)).toBe(hex(frame(way, ...tunnel(outer, sourcePort, told), ...inside)));
                expect(sent.verdict).toBe(on);
                expect(verifyChecksums(parsed).filter(({ state }) => state === "wrong")).toEqual([]);
              }
              // One flow, one way through the network.
              expect(ports.size).toBe(1);
            });

          test("what the tunnel makes too long is refused", () => {
            serve(family, outer, 6);
            const sized = (size: number): Passed =>
              ground.send(
                program,
                frame(inward, network(client, vip, 60), segment("tcp", [44_001, 80], FLAG.ACK), payload(size)),
              );
            const mtu = MTU - (outer === 4 ? 50 : 70);
            const fits = mtu - 20 - (family === 4 ? 20 : 40);
            expect(sized(fits).verdict).toBe(on);
            const refused = sized(fits + 1);
            // The client is told at tc.
            if (hook === "xdp") return expect(refused.verdict).toBe(PASS);
            expect(reason(refused)).toBe(136);
            const told = parsePacket(refused.data);
            expect(told.layers[2]).toMatchObject(family === 4 ? { type: 3, code: 4 } : { type: 2, code: 0 });
            const at = 14 + (family === 4 ? 20 : 40) + 4;
            expect(new DataView(refused.data.buffer, refused.data.byteOffset).getUint32(at)).toBe(mtu);
          });
        });

    describe(`IPv${family}`, () => {
      test("160: a backend whose node has no tunnel; XDP leaves it to tc", () => {
        serve(family, null, 6);
        const packet = frame(inward, network(client, vip), segment("tcp", [43_000, 80]));
        expect(ground.send("skep_xdp", packet).verdict).toBe(PASS);
        expect(reason(ground.send("skep_from_net", packet))).toBe(160);
      });

      for (const outer of [4, 6] as const)
        for (const kind of ["tcp", "udp"] as const)
          test(`over IPv${outer}, ${kind}: what another node has sent is answered from what was asked`, () => {
            const asked = family === 4 ? "203.0.113.200" : "2001:db8::77";
            const between = [NODES[outer][1], NODES[outer][0]] as const;
            const body = payload(11);
            ground.setEndpoint({ ...server, interfaceIndex: HERE });
            for (const flags of [FLAG.SYN, FLAG.ACK]) {
              const told = kind === "udp" || flags === FLAG.SYN ? [askedOption(asked, 30_080)] : [];
              const inside = [network(client, local, 58), segment(kind, [40_200, 8080], flags), body];
              const arrived = ground.send(
                "skep_from_net",
                frame(inward, ...tunnel(outer, 50_000, told, between), ...inside),
              );
              expect(hex(arrived.data)).toBe(hex(frame(inward, ...inside)));
              expect(arrived.verdict).toBe(OK);
              expect(ground.send("skep_to_ep", arrived.data).verdict).toBe(OK);
              const answer = segment(kind, [8080, 40_200], FLAG.ACK);
              const answered = ground.send("skep_from_ep", frame(inward, network(local, client), answer, body));
              const restored = segment(kind, [30_080, 40_200], FLAG.ACK);
              expect(hex(answered.data)).toBe(hex(frame(inward, network(asked, client), restored, body)));
              expect(answered.verdict).toBe(OK);
            }
            ground.setEndpoint(server);
          });

      test("beside an option of others, and in front of it", () => {
        const other = { class: 0x0102, type: 1, data: new Uint8Array(12) };
        const asked = askedOption(vip, 81);
        for (const options of [
          [other, asked],
          [asked, other],
        ]) {
          const inside = [network(client, local), segment("udp", [40_300, 8080])];
          const packet = frame(inward, ...tunnel(4, 50_000, options), ...inside);
          const { data } = ground.send("skep_from_net", packet);
          expect(hex(data)).toBe(hex(frame(inward, ...inside)));
        }
        expect([...ground.map("skep_nat").entries()]).toHaveLength(1);
      });

      test("what is in it for nobody here goes up as it is", () => {
        const inside = [network(client, remote), segment("udp", [40_400, 8080])];
        const packet = frame(inward, ...tunnel(4, 50_000, [askedOption(vip, 80)]), ...inside);
        const { verdict, data } = ground.send("skep_from_net", packet);
        expect(verdict).toBe(OK);
        expect(hex(data)).toBe(hex(packet));
      });
    });
  }
}
