import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as net from "../index.ts";
import type { LayerSpec } from "../index.ts";
import { layersOf, packetSpec } from "../../test/arbitraries.ts";

const address = (text: string): net.Address => {
  const parsed = net.parseAddress(text);
  if (parsed === null) throw new Error(text);
  return parsed;
};
const mac = (text: string): net.Mac => {
  const parsed = net.parseMac(text);
  if (parsed === null) throw new Error(text);
  return parsed;
};
const hex = (bytes: Uint8Array) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
const unhex = (text: string) => Uint8Array.from(text.match(/[0-9a-f]{2}/g) ?? [], (pair) => Number.parseInt(pair, 16));
const ascii = (text: string) => Uint8Array.from(text, (c) => c.charCodeAt(0));

const ethernet: LayerSpec = {
  kind: "ethernet",
  destination: mac("00:01:02:03:04:05"),
  source: mac("00:06:07:08:09:0a"),
};
const ipv4: LayerSpec = { kind: "ipv4", source: address("192.168.0.1"), destination: address("192.168.0.2") };
const ipv6: LayerSpec = { kind: "ipv6", source: address("2001:db8::1"), destination: address("2001:db8::2") };

describe("builders", () => {
  test("a TCP segment, byte for byte", () => {
    const packet = net.buildPacket([
      ethernet,
      { ...ipv4, identification: 1 },
      { kind: "tcp", sourcePort: 10_000, destinationPort: 80, flags: net.tcpFlags.syn, window: 8192 },
      { kind: "payload", bytes: ascii("D".repeat(46)) },
    ]);
    const expected = unhex(
      "000102030405 0006 0708090a 0800 4500 0056 0001 0000 4006 f94d c0a80001 c0a80002 2710 0050 00000000 00000000 5002 2000 c4de 0000" +
        "44".repeat(46),
    );
    expect(hex(packet)).toBe(hex(expected));
  });

  test.each<[string, LayerSpec[], string]>([
    [
      "ARP request, padded",
      [
        { ...ethernet },
        {
          kind: "arp",
          operation: 1,
          senderMac: mac("00:06:07:08:09:0a"),
          senderAddress: address("10.0.0.1"),
          targetMac: new Uint8Array(6),
          targetAddress: address("10.0.0.2"),
        },
      ],
      `00010203040500060708090a0806 0001080006040001 00060708090a0a000001 0000000000000a000002 ${"00".repeat(18)}`,
    ],
    [
      "802.1ad with 802.1Q inside",
      [
        { ...ethernet, etherType: net.etherTypes.qinq },
        { kind: "vlan", id: 100, priority: 7 },
        { kind: "vlan", id: 200, dropEligible: true, etherType: 0x1234 },
        { kind: "payload", bytes: new Uint8Array(38) },
      ],
      `00010203040500060708090a88a8 e0648100 10c81234 ${"00".repeat(38)}`,
    ],
    [
      "ICMPv6 echo request",
      [ipv6, { kind: "icmpv6", type: 128, rest: net.echoRest(1, 2) }, { kind: "payload", bytes: ascii("ab") }],
      `60000000 000a 3a 40 20010db8000000000000000000000001 20010db8000000000000000000000002 8000c2e000010002 6162 ${"00".repeat(10)}`,
    ],
    [
      "UDP whose checksum is zero is sent as ffff",
      [
        { ...ipv4, source: address("0.0.0.0"), destination: address("0.0.0.0") },
        { kind: "udp", sourcePort: 0xffda, destinationPort: 0, length: 10 },
        { kind: "payload", bytes: Uint8Array.of(0, 0) },
      ],
      `4500001e00000000 4011 7ad0 00000000 00000000 ffda0000 000affff 0000 ${"00".repeat(30)}`,
    ],
    [
      "TCP options",
      [
        ipv4,
        {
          kind: "tcp",
          sourcePort: 1,
          destinationPort: 2,
          checksum: 0,
          options: [
            { kind: "mss", value: 1460 },
            { kind: "sack-permitted" },
            { kind: "timestamps", value: 1, echo: 2 },
            { kind: "nop" },
            { kind: "window-scale", shift: 7 },
          ],
        },
      ],
      "4500003c 00000000 4006 f968 c0a80001 c0a80002 00010002 00000000 00000000 a000ffff 00000000 020405b4 0402 080a0000000100000002 01 030307",
    ],
    [
      "GRE with all fields",
      [{ ...ipv4 }, { kind: "gre", checksum: "compute", key: 7, sequence: 8 }, { ...ipv4, ttl: 1 }],
      "45000038 00000000 402f f943 c0a80001 c0a80002 b0000800 47f00000 00000007 00000008 45000014 00000000 013b 385c c0a80001 c0a80002 00000000".slice(
        0,
        -9,
      ),
    ],
  ])("%s", (_, layers, text) => {
    expect(hex(net.buildPacket(layers, { minLength: 60 })).slice(0, text.replaceAll(" ", "").length)).toBe(
      text.replaceAll(" ", ""),
    );
  });

  test("fragments of IPv6 and segment routing", () => {
    const final = address("2001:db8::9");
    const routed: LayerSpec[] = [
      ipv6,
      {
        kind: "ipv6-routing",
        routingType: 4,
        segmentsLeft: 1,
        data: Uint8Array.of(1, 0, 0, 0, ...final.bytes, ...address("2001:db8::2").bytes),
      },
      { kind: "udp", sourcePort: 1, destinationPort: 2 },
    ];
    const parsed = net.parsePacket(net.buildPacket(routed), { first: "ip" });
    expect(parsed.error).toBeNull();
    expect(net.verifyChecksums(parsed)).toEqual([{ layer: 2, state: "right" }]);
    // The checksum covers the last segment, not the next one.
    const straight = net.buildPacket([
      { ...ipv6, destination: final },
      { kind: "udp", sourcePort: 1, destinationPort: 2 },
    ]);
    expect(net.findLayer(parsed, "udp")?.checksum).toBe(
      net.findLayer(net.parsePacket(straight, { first: "ip" }), "udp")?.checksum,
    );
  });

  test.each<[string, LayerSpec[], string]>([
    [
      "no protocol",
      [ipv4, { kind: "payload", bytes: new Uint8Array(1) }],
      "ipv4: the protocol of payload has to be given",
    ],
    [
      "no EtherType",
      [ethernet, { kind: "payload", bytes: new Uint8Array(1) }],
      "ethernet: the EtherType of payload has to be given",
    ],
    [
      "no IP layer",
      [{ kind: "tcp", sourcePort: 1, destinationPort: 2 }],
      "tcp: the checksum needs an IP layer outside, or has to be given",
    ],
    ["no port", [ipv4, { kind: "udp", sourcePort: 1 }], "udp: the destination port has to be given"],
    [
      "long options",
      [
        ipv4,
        {
          kind: "tcp",
          sourcePort: 1,
          destinationPort: 2,
          options: [{ kind: "unknown", type: 9, data: new Uint8Array(39) }],
        },
      ],
      "tcp: 44 bytes of options, at most 40 fit",
    ],
  ])("refuses %s", (_, layers, message) => {
    expect(() => net.buildPacket(layers)).toThrow(new RangeError(message));
  });
});

describe("parser", () => {
  test("what was built comes back, with right lengths and checksums", () => {
    fc.assert(
      fc.property(packetSpec, ({ layers, first }) => {
        const bytes = net.buildPacket(layers);
        const parsed = net.parsePacket(bytes, { first });
        expect(parsed.error).toBeNull();
        const given = layers.filter((layer) => layer.kind !== "payload" || layer.bytes.length > 0);
        expect(parsed.layers.map((layer) => layer.kind)).toEqual(given.map((layer) => layer.kind));
        for (const [i, layer] of given.entries()) expect(parsed.layers[i]).toMatchObject(layersOf(layer));
        for (const { state } of net.verifyChecksums(parsed)) expect(["right", "absent", "unknown"]).toContain(state);
        expect(net.buildPacket(parsed.layers)).toEqual(bytes);
      }),
      { numRuns: 2000 },
    );
  });

  test("any bytes are taken apart without a throw and put together to the same bytes", () => {
    const first = fc.constantFrom<NonNullable<net.ParseOptions["first"]>>(
      "ethernet",
      "ip",
      "ipv4",
      "ipv6",
      "arp",
      "tcp",
      "udp",
      "sctp",
      "icmp",
      "icmpv6",
      "vxlan",
      "geneve",
      "gre",
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), first, (bytes, first) => {
        expect(net.buildPacket(net.parsePacket(bytes, { first }).layers)).toEqual(bytes);
      }),
      { numRuns: 5000 },
    );
  });

  test("so are packets that were cut or changed", () => {
    const change = fc.record({ at: fc.nat(), value: fc.integer({ min: 0, max: 255 }) });
    fc.assert(
      fc.property(packetSpec, fc.array(change, { maxLength: 4 }), fc.nat(), ({ layers, first }, changes, cut) => {
        const whole = net.buildPacket(layers);
        const bytes = whole.slice(0, whole.length - (cut % 3 === 0 ? cut % (whole.length + 1) : 0));
        for (const { at, value } of changes) if (bytes.length > 0) bytes[at % bytes.length] = value;
        const parsed = net.parsePacket(bytes, { first });
        expect(net.buildPacket(parsed.layers)).toEqual(bytes);
        expect(parsed.spans.length).toBe(parsed.layers.length);
        if (parsed.error !== null) expect(parsed.error.offset).toBeLessThanOrEqual(bytes.length);
        net.verifyChecksums(parsed);
        net.neighborMessage(parsed);
      }),
      { numRuns: 3000 },
    );
  });

  test("every cut of a packet is reported as one", () => {
    const tcp = net.buildPacket([
      ethernet,
      ipv4,
      { kind: "tcp", sourcePort: 1, destinationPort: 2, options: [{ kind: "mss", value: 1 }] },
      { kind: "payload", bytes: new Uint8Array(5) },
    ]);
    for (let length = 0; length < tcp.length; length++) {
      const { error, layers } = net.parsePacket(tcp.subarray(0, length));
      expect(error).toMatchObject({ reason: "truncated", offset: length });
      expect(error?.layer).toBe(length < 14 ? "ethernet" : "ipv4");
      expect(layers.some((layer) => layer.kind === "tcp")).toBe(length >= 14 + 20 + 24);
    }
  });

  test.each<[string, string, NonNullable<net.ParseOptions["first"]>, Partial<net.PacketError>]>([
    ["short Ethernet", "0001", "ethernet", { layer: "ethernet", offset: 2, reason: "truncated" }],
    ["IPv4 of version 5", `55${"00".repeat(19)}`, "ipv4", { layer: "ipv4", offset: 0, reason: "malformed" }],
    ["IPv4 header of 16 bytes", `44000014${"00".repeat(16)}`, "ipv4", { layer: "ipv4", reason: "malformed" }],
    ["IPv4 shorter than its header", `45000013${"00".repeat(16)}`, "ipv4", { layer: "ipv4", reason: "malformed" }],
    [
      "IPv4 option too long",
      `46000018${"00".repeat(16)}07050400`,
      "ipv4",
      { layer: "ipv4", offset: 20, reason: "malformed" },
    ],
    ["IPv6 of version 4", "40".padEnd(80, "0"), "ipv6", { layer: "ipv6", reason: "malformed" }],
    [
      "TCP header of 16 bytes",
      `${"00".repeat(12)}40${"00".repeat(7)}`,
      "tcp",
      { layer: "tcp", offset: 12, reason: "malformed" },
    ],
    [
      "TCP option of length 0",
      `${"00".repeat(12)}60${"00".repeat(7)}02000000`,
      "tcp",
      { layer: "tcp", offset: 20, reason: "malformed" },
    ],
    ["UDP of 7 bytes", "0001000200070000", "udp", { layer: "udp", offset: 4, reason: "malformed" }],
    ["UDP longer than the packet", "0001000200090000", "udp", { layer: "udp", offset: 8, reason: "truncated" }],
    ["ARP for Token Ring", `0006${"00".repeat(26)}`, "arp", { layer: "arp", reason: "unsupported" }],
    ["GRE version 1", "0001880b", "gre", { layer: "gre", reason: "unsupported" }],
    ["Geneve version 1", "4000655800000000", "geneve", { layer: "geneve", reason: "unsupported" }],
    [
      "SCTP chunk of length 3",
      `${"00".repeat(12)}00000003`,
      "sctp",
      { layer: "sctp", offset: 12, reason: "malformed" },
    ],
  ])("%s", (_, text, first, error) => {
    const bytes = unhex(text);
    const parsed = net.parsePacket(bytes, { first });
    expect(parsed.error).toMatchObject(error);
    expect(net.buildPacket(parsed.layers)).toEqual(bytes);
  });

  test("tunnels, and what is after the end", () => {
    const inner: LayerSpec[] = [ethernet, ipv6, { kind: "tcp", sourcePort: 1, destinationPort: 2 }];
    const vxlan = net.buildPacket([
      ethernet,
      ipv4,
      { kind: "udp", sourcePort: 9 },
      { kind: "vxlan", vni: 4242 },
      ...inner,
      { kind: "trailer", bytes: Uint8Array.of(1, 2) },
    ]);
    const parsed = net.parsePacket(vxlan);
    expect(parsed.layers.map((layer) => layer.kind)).toEqual([
      "ethernet",
      "ipv4",
      "udp",
      "vxlan",
      "ethernet",
      "ipv6",
      "tcp",
      "trailer",
    ]);
    expect(net.findLayer(parsed, "vxlan")?.vni).toBe(4242);
    expect(net.findLayer(parsed, "ethernet", "innermost")).toBe(parsed.layers[4]);
    expect(net.findLayer(parsed, "arp")).toBeNull();
    expect(net.verifyChecksums(parsed).map(({ state }) => state)).toEqual(["right", "right", "right"]);
    const otherPort = net.parsePacket(vxlan, { tunnelPorts: { vxlan: [], geneve: [] } });
    expect(otherPort.layers.map((layer) => layer.kind)).toEqual(["ethernet", "ipv4", "udp", "payload", "trailer"]);
  });

  test("a wrong bit makes a wrong checksum", () => {
    const bytes = net.buildPacket([ipv4, { kind: "tcp", sourcePort: 1, destinationPort: 2 }]);
    bytes[39] = 1;
    expect(net.verifyChecksums(net.parsePacket(bytes, { first: "ip" }))).toEqual([
      { layer: 0, state: "right" },
      { layer: 1, state: "wrong" },
    ]);
  });

  test("flags by name", () => {
    expect(net.formatTcpFlags(net.tcpFlags.syn | net.tcpFlags.ack)).toBe("SYN,ACK");
    expect(net.formatTcpFlags(0)).toBe("");
  });
});

describe("neighbour discovery", () => {
  test("addresses", () => {
    expect(net.formatAddress(net.solicitedNodeAddress(address("2001:db8::12:3456")))).toBe("ff02::1:ff12:3456");
    expect(net.formatMac(net.multicastMac(address("ff02::1:ff12:3456")))).toBe("33:33:ff:12:34:56");
    expect(net.formatMac(net.multicastMac(address("239.129.2.3")))).toBe("01:00:5e:01:02:03");
    expect(net.formatAddress(net.linkLocalAddress(mac("02:42:ac:11:00:02")))).toBe("fe80::42:acff:fe11:2");
  });

  test("messages come back", () => {
    const messages: net.NeighborMessage[] = [
      {
        kind: "solicitation",
        target: address("fe80::1"),
        mac: mac("02:00:00:00:00:01"),
        router: false,
        solicited: false,
        override: false,
      },
      { kind: "advertisement", target: address("fe80::1"), mac: null, router: true, solicited: false, override: true },
      {
        kind: "advertisement",
        target: address("fe80::1"),
        mac: mac("02:00:00:00:00:01"),
        router: false,
        solicited: true,
        override: false,
      },
    ];
    for (const message of messages) {
      const bytes = net.buildPacket([{ ...ipv6, hopLimit: 255 }, ...net.neighborLayers(message)]);
      expect(net.neighborMessage(net.parsePacket(bytes, { first: "ip" }))).toEqual(message);
    }
    const echo = net.buildPacket([ipv6, { kind: "icmpv6", type: 128 }]);
    expect(net.neighborMessage(net.parsePacket(echo, { first: "ip" }))).toBeNull();
  });
});
