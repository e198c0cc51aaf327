import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as net from "./index.ts";

const packet: fc.Arbitrary<net.CapturedPacket> = fc
  .record({
    timestamp: fc.bigInt({ min: 0n, max: (1n << 32n) * 1_000_000_000n - 1n }),
    data: fc.uint8Array({ maxLength: 30 }),
    more: fc.nat(100),
  })
  .map(({ timestamp, data, more }) => ({ timestamp, data, originalLength: data.length + more }));

const faces: net.CaptureInterface[] = [
  { linkType: net.linkTypes.ethernet, snapLength: 0, name: "lxc1" },
  { linkType: net.linkTypes.raw, snapLength: 96 },
];

const extra: fc.Arbitrary<Partial<net.CapturedPacket>> = fc.record(
  { comment: fc.string({ unit: "grapheme" }), direction: fc.constantFrom("inbound" as const, "outbound" as const) },
  { requiredKeys: [] },
);
const richPacket = fc
  .tuple(packet, fc.nat(1), extra)
  .map(([base, interfaceIndex, more]): net.CapturedPacket => ({ ...base, interfaceIndex, ...more }));

const unhex = (text: string) => Uint8Array.from(text.match(/[0-9a-f]{2}/g) ?? [], (pair) => Number.parseInt(pair, 16));

describe("captures", () => {
  test("pcap comes back", () => {
    fc.assert(
      fc.property(fc.array(packet), (packets) => {
        const capture = net.readCapture(net.writePcap(packets, { linkType: net.linkTypes.raw, snapLength: 128 }));
        expect(capture).toEqual({
          format: "pcap",
          interfaces: [{ linkType: 101, snapLength: 128 }],
          packets,
          error: null,
        });
      }),
    );
  });

  test("pcapng comes back with interfaces, comments and directions", () => {
    fc.assert(
      fc.property(fc.array(richPacket), (packets) => {
        const capture = net.readCapture(net.writePcapng(packets, faces));
        expect(capture).toEqual({ format: "pcapng", interfaces: faces, packets, error: null });
      }),
    );
  });

  test("any bytes, cut and changed files: an error and no throw", () => {
    const change = fc.record({ at: fc.nat(), value: fc.integer({ min: 0, max: 255 }) });
    fc.assert(
      fc.property(
        fc.array(richPacket, { maxLength: 4 }),
        fc.boolean(),
        fc.array(change, { maxLength: 3 }),
        fc.nat(),
        (packets, ng, changes, cut) => {
          const whole = ng ? net.writePcapng(packets, faces) : net.writePcap(packets);
          const bytes = whole.slice(0, whole.length - (cut % 2 === 0 ? 0 : cut % (whole.length + 1)));
          for (const { at, value } of changes) if (bytes.length > 0) bytes[at % bytes.length] = value;
          const { error } = net.readCapture(bytes);
          if (error !== null) expect(error.offset).toBeLessThanOrEqual(bytes.length + 0x1_0000_0000);
        },
      ),
      { numRuns: 2000 },
    );
    expect(net.readCapture(new Uint8Array(3)).error).toMatchObject({ reason: "truncated", offset: 0 });
    expect(net.readCapture(new Uint8Array(24)).error).toMatchObject({ reason: "unsupported" });
  });

  test("a cut file gives the packets before the cut", () => {
    const packets = [1, 2, 3].map((n): net.CapturedPacket => ({
      timestamp: 0n,
      data: new Uint8Array(n),
      originalLength: n,
    }));
    const pcap = net.writePcap(packets);
    const { packets: read, error } = net.readCapture(pcap.subarray(0, pcap.length - 1));
    expect(read.length).toBe(2);
    expect(error).toMatchObject({ reason: "truncated" });
  });

  test("big-endian pcap with microseconds", () => {
    const bytes = unhex(
      "a1b2c3d4 0002 0004 00000000 00000000 0000ffff 00000001 00000002 00000003 00000002 00000009 abcd",
    );
    expect(net.readCapture(bytes)).toEqual({
      format: "pcap",
      interfaces: [{ linkType: 1, snapLength: 65_535 }],
      packets: [{ timestamp: 2_000_003_000n, data: Uint8Array.of(0xab, 0xcd), originalLength: 9 }],
      error: null,
    });
  });

  test("big-endian pcapng: default resolution, offset, simple packets, unknown blocks, two sections", () => {
    const section = "0a0d0d0a 0000001c 1a2b3c4d 0001 0000 ffffffffffffffff 0000001c";
    const bytes = unhex(
      [
        section,
        // Interface with an offset of one second, limit 2.
        "00000001 00000024 0001 0000 00000002 000e 0008 0000000000000001 0000 0000 00000024",
        // Unknown block.
        "00000bad 00000010 12345678 00000010",
        // Simple packet of 5 bytes, cut to 2.
        "00000003 00000014 00000005 abcd0000 00000014",
        section,
        // Resolution of 2**-1.
        "00000001 0000001c 0065 0000 00000000 0009 0001 81000000 0000001c",
        // Enhanced packet at 3 half seconds.
        "00000006 00000024 00000000 00000000 00000003 00000001 00000001 ee000000 00000024",
      ].join(" "),
    );
    expect(net.readCapture(bytes)).toEqual({
      format: "pcapng",
      interfaces: [
        { linkType: 1, snapLength: 2 },
        { linkType: 101, snapLength: 0 },
      ],
      packets: [
        { timestamp: 0n, data: Uint8Array.of(0xab, 0xcd), originalLength: 5, interfaceIndex: 0 },
        { timestamp: 1_500_000_000n, data: Uint8Array.of(0xee), originalLength: 1, interfaceIndex: 1 },
      ],
      error: null,
    });
  });

  test.each([
    [
      "a block of 11 bytes",
      "0a0d0d0a 0000000b 1a2b3c4d 0001 0000 ffffffffffffffff 0000001c",
      { reason: "malformed", offset: 4 },
    ],
    [
      "lengths that differ",
      "0a0d0d0a 0000001c 1a2b3c4d 0001 0000 ffffffffffffffff 00000018",
      { reason: "malformed", offset: 24 },
    ],
    [
      "no byte order",
      "0a0d0d0a 0000001c 11111111 0001 0000 ffffffffffffffff 0000001c",
      { reason: "malformed", offset: 8 },
    ],
    [
      "version 2",
      "0a0d0d0a 0000001c 1a2b3c4d 0002 0000 ffffffffffffffff 0000001c",
      { reason: "unsupported", offset: 12 },
    ],
    [
      "a packet of no interface",
      "0a0d0d0a 0000001c 1a2b3c4d 0001 0000 ffffffffffffffff 0000001c 00000006 00000020 00000000 00000000 00000000 00000000 00000000 00000020",
      { reason: "malformed", offset: 36 },
    ],
  ])("%s", (_, text, error) => {
    expect(net.readCapture(unhex(text)).error).toMatchObject(error);
  });
});
