/**
 * @module
 * Services from outside of the node, at tc and at XDP, on whichever machine: what leaves is, byte for byte, what the independent builder makes.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { SERVICE_FLAG, World, type LoadBalancerBackendRow, type LoadBalancerRows } from "@skep/control";
import { hostPrefix, parsePacket, parsePrefix, verifyChecksums, type LayerSpec } from "@skep/net";
import { Device } from "../src/bpf/device.bpf.ts";
import { Connection } from "../src/bpf/maps.bpf.ts";
import { encodeAddress, encodeU32 } from "../src/encode.ts";
import { NO_ROWS } from "../src/load-balancer.ts";
import { ip } from "./addresses.ts";
import { ADDRESSES, DROP, inward, OK, onward, PASS, REDIRECT, server, SHOT, TX } from "./fixtures.ts";
import {
  FLAG,
  frame,
  HERE,
  hex,
  mac,
  network,
  NUMBER,
  PacketGround,
  payload,
  segment,
  type PacketMachine,
  type Passed,
} from "./packet-ground.ts";
import { backend, serviceRows, type ServiceShape } from "./socket-suite.ts";

const FAMILIES = {
  4: {
    ...ADDRESSES[4],
    ...{ evil: "203.0.113.66", range: { prefix: "203.0.113.64", length: 26 } },
  },
  6: {
    ...ADDRESSES[6],
    ...{ evil: "2001:db8:66::1", range: { prefix: "2001:db8:66::", length: 48 } },
  },
} as const;

/** The IP header, with what tells the other node which address and port was asked (an option, or an extension header). */
function askedLayers(
  isTold: boolean,
  [from, to]: readonly [string, string],
  [address, port]: readonly [string, number],
  hops: number,
): LayerSpec[] {
  if (!isTold) return [network(from, to, hops)];
  const { bytes, family } = ip(address);
  const [high, low] = [port >> 8, port & 0xff];
  if (family === 4) {
    // As Cilium's little-endian nodes write it.
    const data = Uint8Array.of(low, high, ...[...bytes].reverse());
    return [network(from, to, hops, { options: [{ type: 0x9a, data }] })];
  }
  const data = Uint8Array.of(...bytes, high, low, 0, 0);
  return [network(from, to, hops), { kind: "ipv6-options", place: "destination", options: [{ type: 0x1b, data }] }];
}

/** What the agent's mode and a service's annotation make of TCP and UDP. */
const MODES = [
  ...(["tcp", "udp"] as const).flatMap((kind) => [
    ["snat", "dsr", kind, true] as const,
    ["dsr", "snat", kind, false] as const,
  ]),
  ["hybrid", "", "tcp", true],
  ["hybrid", "", "udp", false],
  ["hybrid", "snat", "tcp", false],
  ["hybrid", "dsr", "udp", true],
] as const;

interface Annotated {
  readonly vip: string;
  readonly remote: string;
  readonly mode: "snat" | "dsr" | "hybrid";
  readonly annotation: string;
  readonly protocol: string;
}

/** Of a service with one backend on another node. */
function annotatedWorld({ vip, remote, mode, annotation, protocol }: Annotated): World {
  const [podCidr, serviceCidr] = [parsePrefix("10.9.0.0/16"), parsePrefix("10.96.0.0/16")];
  if (!podCidr || !serviceCidr) throw new Error("no prefix");
  const world = new World({ podCidr, serviceCidr, nodeName: "here", loadBalancer: { mode, maglevTableSize: 251 } });
  const [isIpv6, port] = [vip.includes(":"), `protocol: ${protocol.toUpperCase()}`];
  const annotations = annotation === "" ? "" : `, annotations: { service.cilium.io/forwarding-mode: ${annotation} }`;
  const { diagnostics } = world.applyFile(
    "web.yaml",
    `apiVersion: v1
kind: Service
metadata: { name: web${annotations} }
spec: { clusterIP: "${isIpv6 ? "fd96::7" : "10.96.0.7"}", externalIPs: ["${vip}"], ports: [{ port: 80, ${port} }] }
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: web-1, labels: { kubernetes.io/service-name: web } }
addressType: IPv${isIpv6 ? 6 : 4}
endpoints: [{ addresses: ["${remote}"] }]
ports: [{ port: 8080, ${port} }]
`,
  );
  if (diagnostics.length > 0) throw new Error(JSON.stringify(diagnostics));
  world.loadBalancerChanges();
  return world;
}

/** Backends that have the service's address get its packets as they are. */
export function tunnelSuite(open: () => PacketMachine): void {
  let ground: PacketGround;

  beforeAll(() => {
    const under = open();
    const { path } = under.machine.processes.createCgroup(`skep-tunnel-${under.pins.slice(-6).replaceAll("/", "-")}`);
    ground = new PacketGround(under, { cgroup: path, loadBalancer: { maglevSize: 251, dispatch: "ipip" } });
    const device = { address: encodeAddress(ip(FAMILIES[4].node)), address6: encodeAddress(ip(FAMILIES[6].node)) };
    ground.map("skep_devices").set(encodeU32(HERE), Device.encode(device));
    const macs = { source: onward.source, destination: onward.destination };
    const any = [ip("0.0.0.0"), ip("::")].map((address) => ({ address, length: 0 }));
    ground.datapath.syncNextHops(any.map((prefix) => ({ prefix, interfaceIndex: HERE, mtu: 1500, macs })));
  }, 300_000);
  afterAll(() => ground?.close());

  for (const family of [4, 6] as const)
    for (const [hook, program, on, way] of [
      ["tc", "skep_from_net", REDIRECT, inward],
      ["xdp", "skep_xdp", TX, onward],
    ] as const) {
      const { client, node, vip, remote } = FAMILIES[family];
      const outer = network(node, remote, 64, family === 4 ? { identification: 0 } : {});
      const enter = (...layers: LayerSpec[]): Passed => ground.send(program, frame(inward, ...layers));
      const prepare = (): void => {
        const flags = SERVICE_FLAG.EXTERNAL_IP | SERVICE_FLAG.ROUTABLE | SERVICE_FLAG.DSR;
        const backends = [backend(1, { address: remote, port: 8080 }, 6)];
        const shape = { id: 4, at: { address: vip, port: 80 }, protocol: 6, backends, flags };
        ground.datapath.replaceLoadBalancer(serviceRows(shape));
      };

      test(`${hook}, IPv${family}: in a tunnel, where backends have the service's address`, () => {
        prepare();
        const inner = (size: number): LayerSpec[] => [
          network(client, vip, 60),
          segment("tcp", [44_000, 80], FLAG.ACK),
          payload(size),
        ];
        for (const size of [31, 31, 31, 1000, 1000, 7]) {
          const { verdict, data } = enter(...inner(size));
          expect(hex(data)).toBe(hex(frame(way, outer, ...inner(size))));
          expect(verdict).toBe(on);
        }
      });

      test(`${hook}, IPv${family}: what the tunnel makes too long is refused`, () => {
        prepare();
        const fits = 1500 - (family === 4 ? 60 : 100);
        const long = (size: number): LayerSpec[] => [
          network(client, vip, 60),
          segment("tcp", [44_001, 80], FLAG.ACK),
          payload(size),
        ];
        expect(enter(...long(fits)).verdict).toBe(on);
        const sent = enter(...long(fits + 1));
        // The client is told at tc.
        if (hook === "xdp") return expect(sent.verdict).toBe(PASS);
        expect(sent.events).toMatchObject([{ type: 1, reason: 136 }]);
        const told = parsePacket(sent.data);
        const mtu = family === 4 ? 1480 : 1460;
        expect(told.layers[1]).toMatchObject({ source: ip(vip), destination: ip(client) });
        expect(told.layers[2]).toMatchObject(family === 4 ? { type: 3, code: 4 } : { type: 2, code: 0 });
        const at = 14 + (family === 4 ? 20 : 40) + 4;
        expect(new DataView(sent.data.buffer, sent.data.byteOffset).getUint32(at)).toBe(mtu);
        expect(verifyChecksums(told).filter(({ state }) => state === "wrong")).toEqual([]);
      });
    }
}

export function nodePortSuite(open: () => PacketMachine): void {
  let ground: PacketGround;

  beforeAll(() => {
    const under = open();
    const { path } = under.machine.processes.createCgroup(`skep-nodeport-${under.pins.slice(-6).replaceAll("/", "-")}`);
    ground = new PacketGround(under, { cgroup: path, loadBalancer: { maglevSize: 251, prefilter: true } });
    const device = { address: encodeAddress(ip(FAMILIES[4].node)), address6: encodeAddress(ip(FAMILIES[6].node)) };
    ground.map("skep_devices").set(encodeU32(HERE), Device.encode(device));
  }, 300_000);
  afterAll(() => ground?.close());
  beforeEach(() => {
    ground.datapath.removeEndpoint(server);
    ground.datapath.replaceLoadBalancer(NO_ROWS);
    for (const name of ["skep_ct", "skep_nat"])
      ground.map(name).deleteAll([...ground.map(name).entries()].map(([key]) => key));
    ground.allow(server.id);
    ground.setEndpoint(server);
    const macs = { source: onward.source, destination: onward.destination };
    const any = [ip("0.0.0.0"), ip("::")].map((address) => ({
      prefix: { address, length: 0 },
      interfaceIndex: HERE,
      macs,
    }));
    ground.datapath.syncNextHops(any);
  });

  const HOOKS = {
    tc: { program: "skep_from_net", up: OK, on: REDIRECT, dropped: SHOT, way: inward },
    xdp: { program: "skep_xdp", up: PASS, on: TX, dropped: DROP, way: onward },
  } as const;

  for (const hook of ["tc", "xdp"] as const) {
    const { program, up, on, way, dropped } = HOOKS[hook];
    const enter = (data: Uint8Array): Passed => ground.send(program, data);
    const becomes = ({ verdict, data }: Passed, wanted: number, packet: Uint8Array): void => {
      expect(hex(data)).toBe(hex(packet));
      expect(verdict).toBe(wanted);
      expect(verifyChecksums(parsePacket(data)).filter(({ state }) => state === "wrong")).toEqual([]);
    };

    for (const family of [4, 6] as const) {
      const { client, node, vip, local, remote, evil, range } = FAMILIES[family];
      const at = { address: vip, port: 80 };
      const one = (address: string, protocol = 6, id = 1): LoadBalancerBackendRow =>
        backend(id, { address, port: 8080 }, protocol);
      const rows = (over: Partial<ServiceShape>, flags = 0): LoadBalancerRows =>
        serviceRows({
          ...{ id: 4, at, protocol: 6, backends: [one(remote)] },
          ...{ flags: SERVICE_FLAG.EXTERNAL_IP | SERVICE_FLAG.ROUTABLE | flags },
          ...over,
        });

      describe(`${hook}, IPv${family}`, () => {
        for (const kind of ["tcp", "udp", "sctp"] as const) {
          const protocol = NUMBER[kind];
          const body = payload(24);

          test(`${kind}: goes on with the node's address, and the answer comes back from the service`, () => {
            ground.datapath.replaceLoadBalancer(rows({ protocol, backends: [one(remote, protocol)] }));
            for (const flags of [FLAG.SYN, FLAG.ACK]) {
              const sent = enter(frame(inward, network(client, vip, 60), segment(kind, [40_000, 80], flags), body));
              becomes(sent, on, frame(way, network(node, remote, 59), segment(kind, [40_000, 8080], flags), body));
            }
            const answer = enter(
              frame(inward, network(remote, node, 60), segment(kind, [8080, 40_000], FLAG.ACK), body),
            );
            becomes(answer, on, frame(way, network(vip, client, 59), segment(kind, [80, 40_000], FLAG.ACK), body));
          });

          test(`${kind}: a local backend is reached up the stack, and answers from the service`, () => {
            ground.datapath.replaceLoadBalancer(rows({ protocol, backends: [one(local, protocol)] }));
            const sent = frame(inward, network(client, vip), segment(kind, [40_001, 80]), body);
            if (hook === "xdp") becomes(enter(sent), up, sent);
            const inside = frame(inward, network(client, local), segment(kind, [40_001, 8080]), body);
            becomes(ground.send("skep_from_net", sent), OK, inside);
            ground.setEndpoint({ ...server, interfaceIndex: HERE });
            const arrived = ground.send("skep_to_ep", inside);
            expect(arrived.verdict).toBe(OK);
            expect(arrived.events).toMatchObject([{ type: 4, destinationEndpoint: server.id, reply: false }]);
            const answer = frame(inward, network(local, client), segment(kind, [8080, 40_001], FLAG.ACK), body);
            const restored = frame(inward, network(vip, client), segment(kind, [80, 40_001], FLAG.ACK), body);
            becomes(ground.send("skep_from_ep", answer), OK, restored);
          });
        }

        test("two clients with one port do not meet", () => {
          ground.datapath.replaceLoadBalancer(rows({}));
          const enterFrom = (from: string): Passed =>
            enter(frame(inward, network(from, vip), segment("tcp", [41_000, 80])));
          becomes(enterFrom(client), on, frame(way, network(node, remote, 63), segment("tcp", [41_000, 8080])));
          const other = enterFrom(evil);
          expect(other.verdict).toBe(on);
          const layer = parsePacket(other.data).layers.find(({ kind }) => kind === "tcp");
          const port = layer && "sourcePort" in layer ? layer.sourcePort : 0;
          expect(port).not.toBe(41_000);
          const answer = enter(frame(inward, network(remote, node), segment("tcp", [8080, port], FLAG.ACK)));
          becomes(answer, on, frame(way, network(vip, evil, 63), segment("tcp", [80, 41_000], FLAG.ACK)));
        });

        test("what is for no service goes up as it is", () => {
          ground.datapath.replaceLoadBalancer(rows({}));
          for (const packet of [
            frame(inward, network(client, vip), segment("tcp", [42_000, 81])),
            frame(inward, network(client, node), segment("udp", [42_000, 53])),
            frame(inward, network(remote, node), segment("tcp", [8080, 42_001], FLAG.ACK)),
          ])
            becomes(enter(packet), up, packet);
        });

        for (const kind of ["tcp", "udp"] as const)
          test(`${kind}: goes on to a backend that answers itself, with what was asked`, () => {
            const protocol = NUMBER[kind];
            ground.datapath.replaceLoadBalancer(
              rows({ protocol, backends: [one(remote, protocol)] }, SERVICE_FLAG.DSR),
            );
            const body = payload(24);
            for (const flags of [FLAG.SYN, FLAG.ACK, FLAG.ACK]) {
              const sent = enter(frame(inward, network(client, vip, 60), segment(kind, [40_100, 80], flags), body));
              const told = kind === "udp" || flags === FLAG.SYN;
              const gone = [
                ...askedLayers(told, [client, remote], [vip, 80], 59),
                segment(kind, [40_100, 8080], flags),
              ];
              becomes(sent, on, frame(way, ...gone, body));
            }
          });

        for (const [mode, annotation, kind, isDirect] of MODES)
          test(`${mode}, annotated ${annotation || "with nothing"}, ${kind}: ${isDirect ? "the client's" : "the node's"} address`, () => {
            const world = annotatedWorld({ vip, remote, mode, annotation, protocol: kind });
            ground.datapath.replaceLoadBalancer(world.loadBalancer.rows());
            const sent = enter(frame(inward, network(client, vip, 60), segment(kind, [40_300, 80])));
            const ends = [isDirect ? client : node, remote] as const;
            const gone = [...askedLayers(isDirect, ends, [vip, 80], 59), segment(kind, [40_300, 8080])];
            becomes(sent, on, frame(way, ...gone));
          });

        test("denied prefixes are dropped before all else", () => {
          ground.datapath.replaceLoadBalancer(rows({}));
          const packet = frame(inward, network(evil, vip), segment("tcp", [45_000, 80]));
          expect(enter(packet).verdict).toBe(on);
          const denied = { address: ip(range.prefix), length: range.length };
          expect(ground.datapath.syncDenied([denied])).toEqual({ changed: 1, deleted: 0 });
          expect(enter(packet).verdict).toBe(dropped);
          expect(enter(frame(inward, network(client, vip), segment("tcp", [45_000, 80]))).verdict).toBe(on);
          expect(ground.datapath.syncDenied([])).toEqual({ changed: 0, deleted: 1 });
          expect(enter(packet).verdict).toBe(on);
        });

        if (hook === "tc") tcOnly();
        else xdpOnly();

        function tcOnly(): void {
          const reason = ({ verdict, events }: Passed): number | undefined => {
            expect(verdict).toBe(SHOT);
            return events.find(({ type }) => type === 1)?.reason;
          };
          const open = (): Passed => enter(frame(inward, network(client, vip), segment("tcp", [43_000, 80])));

          test("174: cluster addresses are not for the outside; 177: clients out of range", () => {
            ground.datapath.replaceLoadBalancer(rows({ flags: 0 }));
            expect(reason(open())).toBe(174);
            ground.datapath.replaceLoadBalancer(rows({}, SERVICE_FLAG.SOURCE_RANGE));
            expect(reason(open())).toBe(177);
            const { address, length } = hostPrefix(ip(client));
            const allowed = { id: 4, prefix: { address, length } };
            ground.datapath.replaceLoadBalancer({ ...rows({}, SERVICE_FLAG.SOURCE_RANGE), sourceRanges: [allowed] });
            expect(open().verdict).toBe(on);
          });

          for (const kind of ["tcp", "udp"] as const)
            test(`${kind}: what another node has sent on is answered from what was asked`, () => {
              ground.datapath.replaceLoadBalancer(NO_ROWS);
              const body = payload(11);
              const arrive = (flags: number): Passed => {
                const layers = askedLayers(
                  kind === "udp" || flags === FLAG.SYN,
                  [client, local],
                  ["203.0.113.200", 30_080],
                  58,
                );
                const asked6 = askedLayers(
                  kind === "udp" || flags === FLAG.SYN,
                  [client, local],
                  ["2001:db8::77", 30_080],
                  58,
                );
                const told = family === 4 ? layers : asked6;
                return enter(frame(inward, ...told, segment(kind, [40_200, 8080], flags), body));
              };
              const asked = family === 4 ? "203.0.113.200" : "2001:db8::77";
              ground.setEndpoint({ ...server, interfaceIndex: HERE });
              for (const flags of [FLAG.SYN, FLAG.ACK]) {
                const inside = frame(inward, network(client, local, 58), segment(kind, [40_200, 8080], flags), body);
                becomes(arrive(flags), OK, inside);
                expect(ground.send("skep_to_ep", inside).verdict).toBe(OK);
                const answer = segment(kind, [8080, 40_200], FLAG.ACK);
                const answered = ground.send("skep_from_ep", frame(inward, network(local, client), answer, body));
                becomes(
                  answered,
                  OK,
                  frame(inward, network(asked, client), segment(kind, [30_080, 40_200], FLAG.ACK), body),
                );
              }
            });

          if (family === 4)
            test("an option that says it is longer than the header is none", () => {
              const options = [{ type: 0x9a, data: Uint8Array.of(80, 0) }];
              const packet = frame(inward, network(client, local, 58, { options }), segment("tcp", [40_201, 8080]));
              expect(packet[14]).toBe(0x46);
              packet[14 + 20 + 1] = 8;
              const { verdict, data } = enter(packet);
              expect(hex(data)).toBe(hex(packet));
              expect(verdict).toBe(OK);
            });

          test("158: the client is told", () => {
            ground.datapath.replaceLoadBalancer(rows({ backends: [] }));
            const told = open();
            expect(told.events).toMatchObject([{ type: 1, reason: 158 }]);
            expect(told.verdict).toBe(REDIRECT);
            const layers = parsePacket(told.data).layers;
            expect(layers).toMatchObject([
              {},
              { source: ip(vip), destination: ip(client) },
              {
                kind: "tcp",
                sourcePort: 80,
                destinationPort: 43_000,
                flags: FLAG.RST | FLAG.ACK,
                acknowledgment: 0x12345679,
              },
            ]);
            expect(verifyChecksums(parsePacket(told.data)).every(({ state }) => state !== "wrong")).toBe(true);
          });
        }

        function xdpOnly(): void {
          test("is left to tc where the way on is not known, and where there is no backend", () => {
            const packet = frame(inward, network(client, vip), segment("tcp", [43_000, 80]));
            ground.datapath.replaceLoadBalancer(rows({}));
            ground.datapath.syncNextHops([]);
            becomes(enter(packet), PASS, packet);
            ground.datapath.replaceLoadBalancer(rows({ backends: [] }));
            becomes(enter(packet), PASS, packet);
          });

          test("a flow that is for no service goes up at once, until services change", () => {
            ground.datapath.replaceLoadBalancer(NO_ROWS);
            const packet = frame(inward, network(client, vip), segment("tcp", [44_200, 80], FLAG.ACK));
            const passed = (): number =>
              [...ground.map("skep_xdp_pass").entries()].filter(([, value]) => value.some((byte) => byte !== 0)).length;
            const before = passed();
            for (let at = 0; at < 3; at++) becomes(enter(packet), PASS, packet);
            expect(passed()).toBe(before + 1);
            ground.datapath.replaceLoadBalancer(rows({}));
            for (let at = 0; at < 3; at++) expect(enter(packet).verdict).toBe(TX);
            ground.datapath.replaceLoadBalancer(NO_ROWS);
            for (let at = 0; at < 3; at++) becomes(enter(packet), PASS, packet);
          });

          test("a flow that goes on is known by one entry, until its way changes", () => {
            ground.datapath.replaceLoadBalancer(rows({}));
            const flows = ground.map(family === 4 ? "skep_flow4" : "skep_flow6");
            flows.deleteAll([...flows.entries()].map(([key]) => key));
            const send = (hops: number, size: number, flags: number): Passed =>
              enter(frame(inward, network(client, vip, hops), segment("tcp", [44_100, 80], flags), payload(size)));
            const gone = (hops: number, size: number, flags: number, to = remote, hop = onward): Uint8Array =>
              frame(hop, network(node, to, hops), segment("tcp", [44_100, 8080], flags), payload(size));
            becomes(send(60, 0, FLAG.SYN), TX, gone(59, 0, FLAG.SYN));
            expect([...flows.entries()]).toHaveLength(0);
            for (const [hops, size] of [
              [60, 4],
              [50, 100],
              [40, 3],
            ] as const)
              becomes(send(hops, size, FLAG.ACK), TX, gone(hops - 1, size, FLAG.ACK));
            expect([...flows.entries()]).toHaveLength(1);
            const answer = (size: number): Uint8Array =>
              frame(inward, network(remote, node, 9), segment("tcp", [8080, 44_100], FLAG.ACK), payload(size));
            for (const size of [5, 60, 7])
              becomes(
                enter(answer(size)),
                TX,
                frame(onward, network(vip, client, 8), segment("tcp", [80, 44_100], FLAG.ACK), payload(size)),
              );
            expect([...flows.entries()]).toHaveLength(2);
            // Elsewhere is another way, and what has been counted is not lost.
            const other = { source: mac(9, 2), destination: mac(8, 2) };
            const { address } = hostPrefix(ip(family === 4 ? "0.0.0.0" : "::"));
            ground.datapath.syncNextHops([{ prefix: { address, length: 0 }, interfaceIndex: HERE, macs: other }]);
            for (let at = 0; at < 2; at++) {
              becomes(send(30, 9, FLAG.ACK), TX, gone(29, 9, FLAG.ACK, remote, other));
              expect(enter(answer(1)).verdict).toBe(TX);
            }
            const counted = [...ground.map("skep_ct").entries()].map(([, value]) => Connection.decode(value));
            expect(counted.find(({ flags }) => (flags & 32) === 0)).toMatchObject({ packets: 5n, replyPackets: 4n });
            // Its entries gone, the flow keeps its backend and its port.
            for (const name of ["skep_ct", "skep_nat"])
              ground.map(name).deleteAll([...ground.map(name).entries()].map(([key]) => key));
            const second = {
              ...one(remote),
              id: 2,
              address: ip(server.address6 && family === 6 ? "fd08::4" : "10.8.0.4"),
            };
            ground.datapath.replaceLoadBalancer(rows({ backends: [second, one(remote)] }));
            for (let at = 0; at < 2; at++) becomes(send(30, 9, FLAG.ACK), TX, gone(29, 9, FLAG.ACK, remote, other));
            // The backend is gone: another takes the next packet.
            ground.datapath.replaceLoadBalancer(rows({ backends: [second] }));
            const moved = family === 4 ? "10.8.0.4" : "fd08::4";
            for (let at = 0; at < 2; at++) becomes(send(30, 9, FLAG.ACK), TX, gone(29, 9, FLAG.ACK, moved, other));
          });
        }
      });
    }
  }
}
