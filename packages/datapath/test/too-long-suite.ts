/**
 * @module
 * What is too long for a tunnel: its sender is told, with the bytes that an independent builder makes of the answer; what may be cut goes on.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SERVICE_FLAG } from "@skep/control";
import { parsePacket, type LayerSpec } from "@skep/net";
import { Device } from "../src/bpf/device.bpf.ts";
import { encodeAddress, encodeU32 } from "../src/encode.ts";
import { CALL_NODEPORT, CALL_NODEPORT_TUNNEL, CALL_TOO_LONG } from "../src/bpf/maps.bpf.ts";
import { ip } from "./addresses.ts";
import { ADDRESSES, client, inward, REDIRECT, up } from "./fixtures.ts";
import { frame, HERE, hex, mac, network, PacketGround, payload, segment, type PacketMachine } from "./packet-ground.ts";
import { backend, serviceRows } from "./socket-suite.ts";

const MTU = 1450;

const down = { source: mac(1, 2), destination: mac(1, 1) };
/** The other node, and frames in tunnels: locally administered, "SKEP" and one of two numbers. */
const NODE = ip("192.0.2.2");
const inTunnel = {
  source: Uint8Array.of(0x0e, 0x53, 0x4b, 0x45, 0x50, 2),
  destination: Uint8Array.of(0x0e, 0x53, 0x4b, 0x45, 0x50, 1),
};

const ENDS = { 4: ["10.9.0.2", "10.8.0.3"], 6: ["fd00::2", "fd08::3"] } as const;

export function tooLongSuite(open: () => PacketMachine): void {
  let ground: PacketGround;
  beforeAll(() => {
    const under = open();
    const cgroup = under.machine.processes.createCgroup(`skep-long-${under.pins.slice(-6).replaceAll("/", "-")}`);
    ground = new PacketGround(under, {
      cgroup: cgroup.path,
      config: { overlay_interface: HERE, overlay_mtu: MTU },
    });
    for (const [place, program] of [
      [CALL_TOO_LONG, "skep_ep_long"],
      [CALL_NODEPORT, "skep_nodeport"],
      [CALL_NODEPORT_TUNNEL, "skep_nodeport_t"],
    ] as const)
      ground.map("skep_calls").setProgram(encodeU32(place), ground.program(program));
    ground.allow(client.id);
    ground.setEndpoint(client);
    ground.datapath.syncIpcache(
      ([4, 6] as const).map((family) => {
        const length = family === 4 ? 32 : 128;
        return { prefix: { address: ip(ENDS[family][1]), length }, identity: 300, tunnel: NODE };
      }),
    );
  }, 300_000);
  afterAll(() => ground?.close());

  for (const family of [4, 6] as const) {
    const [pod, remote] = ENDS[family];
    const headers = family === 4 ? 20 : 40;
    const uncut = family === 4 ? { dontFragment: true } : {};
    /** A packet of so many bytes behind Ethernet's header. */
    const packet = (kind: "udp" | "tcp", length: number, over: object = uncut): LayerSpec[] => [
      network(pod, remote, 64, over),
      segment(kind, [41_000, 80]),
      payload(length - headers - (kind === "udp" ? 8 : 20)),
    ];

    describe(`IPv${family}`, () => {
      for (const kind of ["udp", "tcp"] as const) {
        test(`${kind}: the sender is told how long its packets may be: 136`, () => {
          const sent = frame(up, ...packet(kind, MTU + 1));
          const { verdict, data, events } = ground.send("skep_from_ep", sent);
          const error: LayerSpec =
            family === 4
              ? { kind: "icmp", type: 3, code: 4, rest: MTU }
              : { kind: "icmpv6", type: 2, code: 0, rest: MTU };
          const header = network(remote, pod, 64, family === 4 ? { identification: 0, dontFragment: true } : {});
          const quoted = sent.subarray(14, 14 + headers + 8);
          expect(hex(data)).toBe(hex(frame(down, header, error, { kind: "payload", bytes: quoted })));
          expect(verdict).toBe(REDIRECT);
          expect(events.filter(({ type }) => type === 1)).toMatchObject([
            { reason: 136, direction: "egress", endpoint: client.id },
          ]);
        });

        test(`${kind}: what fits goes into the tunnel`, () => {
          const { verdict, data, events } = ground.send("skep_from_ep", frame(up, ...packet(kind, MTU)));
          const [ip, ...rest] = packet(kind, MTU);
          const hop = family === 4 ? { ...ip, ttl: 63 } : { ...ip, hopLimit: 63 };
          expect(hex(data)).toBe(hex(frame(inTunnel, hop as LayerSpec, ...rest)));
          expect(verdict).toBe(REDIRECT);
          expect(events.filter(({ type }) => type === 1)).toEqual([]);
        });
      }

      describe("what is cut into segments", () => {
        const OPTIONS = 12;
        const header: LayerSpec = {
          ...{ kind: "tcp", sourcePort: 41_000, destinationPort: 80, flags: 0x10 },
          // A timestamp, as every segment of a Linux machine has (RFC 7323).
          options: [{ kind: "nop" }, { kind: "nop" }, { kind: "timestamps", value: 1, echo: 2 }],
        };
        const fits = MTU - headers - 20 - OPTIONS;
        const large = (): Uint8Array => frame(up, network(pod, remote, 64, uncut), header, payload(2 * fits));

        test("goes into the tunnel where each of them fits", () => {
          const { verdict, events } = ground.sendLarge("skep_from_ep", large(), fits);
          expect(events.filter(({ type }) => type === 1)).toEqual([]);
          expect(verdict).toBe(REDIRECT);
        });

        test("does not where their options are too much: 136", () => {
          const { events } = ground.sendLarge("skep_from_ep", large(), fits + 1);
          expect(events.filter(({ type }) => type === 1)).toMatchObject([{ reason: 136, endpoint: client.id }]);
        });
      });

      test("a service's client is told too, where its backend is behind the tunnel: 136", () => {
        const { client: from, vip } = ADDRESSES[family];
        const device = {
          address: encodeAddress(ip(ADDRESSES[4].node)),
          address6: encodeAddress(ip(ADDRESSES[6].node)),
        };
        ground.map("skep_devices").set(encodeU32(HERE), Device.encode(device));
        const flags = SERVICE_FLAG.EXTERNAL_IP | SERVICE_FLAG.ROUTABLE;
        const backends = [backend(1, { address: remote, port: 8080 }, 17)];
        const at = { address: vip, port: 80 };
        ground.datapath.replaceLoadBalancer(serviceRows({ id: 4, at, protocol: 17, backends, flags }));
        const enter = (length: number, over: object = uncut) => {
          const body = payload(length - headers - 8);
          return ground.send(
            "skep_from_net",
            frame(inward, network(from, vip, 64, over), segment("udp", [41_000, 80]), body),
          );
        };
        expect(enter(MTU)).toMatchObject({ verdict: REDIRECT, events: [] });
        const { verdict, data, events } = enter(MTU + 1);
        expect(events).toMatchObject([{ type: 1, reason: 136 }]);
        expect(verdict).toBe(REDIRECT);
        const { layers } = parsePacket(data);
        expect(layers[1]).toMatchObject({ source: ip(vip), destination: ip(from) });
        expect(layers[2]).toMatchObject(
          family === 4 ? { type: 3, code: 4, rest: MTU } : { type: 2, code: 0, rest: MTU },
        );
        if (family === 4) expect(enter(MTU + 1, {})).toMatchObject({ verdict: REDIRECT, events: [] });
      });

      if (family === 6)
        test("what a router says of a masqueraded fragment is its sender's", () => {
          const { client: world, node } = ADDRESSES[6];
          const device = { address: encodeAddress(ip(ADDRESSES[4].node)), address6: encodeAddress(ip(node)) };
          ground.map("skep_devices").set(encodeU32(HERE), Device.encode(device));
          const first: LayerSpec = {
            ...{ kind: "ipv6-fragment", nextHeader: 17, fragmentOffset: 0, moreFragments: true, identification: 5 },
          };
          const left = ground.send(
            "skep_to_net",
            frame(up, network(pod, world), first, segment("udp", [41_002, 80]), payload(64)),
          );
          expect(parsePacket(left.data).layers[1]).toMatchObject({ source: ip(node) });
          const quoted = { kind: "payload", bytes: left.data.subarray(14, 14 + 40 + 8 + 8) } as const;
          const error: LayerSpec = { kind: "icmpv6", type: 2, code: 0, rest: 1300 };
          const told = ground.send("skep_from_net", frame(inward, network("2001:db8::77", node), error, quoted));
          const { layers } = parsePacket(told.data);
          expect(layers[1]).toMatchObject({ destination: ip(pod) });
          expect(hex(told.data.subarray(14 + 40 + 8 + 8, 14 + 40 + 8 + 24))).toBe(hex(ip(pod).bytes));
        });

      if (family === 4)
        test("what may be cut goes into the tunnel, which cuts it", () => {
          const { verdict, events } = ground.send("skep_from_ep", frame(up, ...packet("udp", MTU + 1, {})));
          expect(verdict).toBe(REDIRECT);
          expect(events.filter(({ type }) => type === 1)).toEqual([]);
        });

      test("no error is told about an error", () => {
        const about: LayerSpec[] = [network(remote, pod, 61), segment("udp", [80, 41_001]), payload(MTU)];
        ground.send(
          "skep_from_ep",
          frame(up, ...packet("udp", 200).slice(0, 1), segment("udp", [41_001, 80]), payload(8)),
        );
        const error: LayerSpec =
          family === 4 ? { kind: "icmp", type: 3, code: 3, rest: 0 } : { kind: "icmpv6", type: 1, code: 4, rest: 0 };
        const { verdict } = ground.send("skep_from_ep", frame(up, network(pod, remote, 64, uncut), error, ...about));
        expect(verdict).toBe(2);
      });
    });
  }
}
