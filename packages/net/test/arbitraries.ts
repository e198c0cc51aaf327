import * as fc from "fast-check";
import type { LayerSpec, ParseOptions } from "../src/index.ts";
import { addressOf } from "../src/index.ts";

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const bits = (count: number) => fc.integer({ min: 0, max: 2 ** count - 1 });
const v4 = bytes(4).map((raw) => addressOf(raw));
const v6 = bytes(16).map((raw) => addressOf(raw));
const payload = fc.uint8Array({ maxLength: 40 }).map((raw): LayerSpec => ({ kind: "payload", bytes: raw }));
/** Ports without those of tunnels, whose payload would be read on. */
const port = bits(16).filter((value) => ![4789, 8472, 6081].includes(value));

const tcpOption = fc.oneof(
  fc.constant({ kind: "nop" as const }),
  fc.record({ kind: fc.constant("mss" as const), value: bits(16) }),
  fc.record({ kind: fc.constant("window-scale" as const), shift: bits(8) }),
  fc.constant({ kind: "sack-permitted" as const }),
  fc.record({ kind: fc.constant("timestamps" as const), value: bits(32), echo: bits(32) }),
  fc.record({
    kind: fc.constant("sack" as const),
    blocks: fc.array(fc.record({ left: bits(32), right: bits(32) }), { minLength: 1, maxLength: 1 }),
  }),
  fc.record({
    kind: fc.constant("unknown" as const),
    type: fc.constantFrom(30, 253),
    data: fc.uint8Array({ maxLength: 6 }),
  }),
);

const tcp: fc.Arbitrary<LayerSpec> = fc.record({
  kind: fc.constant("tcp" as const),
  sourcePort: bits(16),
  destinationPort: bits(16),
  sequence: bits(32),
  acknowledgment: bits(32),
  reserved: bits(3),
  flags: bits(9),
  window: bits(16),
  urgent: bits(16),
  options: fc.array(tcpOption, { maxLength: 4 }),
});
const udp: fc.Arbitrary<LayerSpec> = fc.record({
  kind: fc.constant("udp" as const),
  sourcePort: bits(16),
  destinationPort: port,
});
const icmp = (kind: "icmp" | "icmpv6"): fc.Arbitrary<LayerSpec> =>
  fc.record({ kind: fc.constant(kind), type: bits(8), code: bits(8), rest: bits(32) });
const sctp: fc.Arbitrary<LayerSpec> = fc.record({
  kind: fc.constant("sctp" as const),
  sourcePort: bits(16),
  destinationPort: bits(16),
  verificationTag: bits(32),
  chunks: fc.array(fc.record({ type: bits(8), flags: bits(8), data: fc.uint8Array({ maxLength: 9 }) }), {
    maxLength: 3,
  }),
});

const transport = (icmpKind: "icmp" | "icmpv6"): fc.Arbitrary<LayerSpec[]> =>
  fc.oneof(
    fc.tuple(tcp, payload),
    fc.tuple(udp, payload),
    fc.tuple(icmp(icmpKind), payload),
    sctp.map((layer) => [layer]),
  );

const ipOption = fc.record({ type: fc.constantFrom(7, 68, 131, 148), data: fc.uint8Array({ maxLength: 6 }) });
const ipv4: fc.Arbitrary<LayerSpec> = fc.record({
  kind: fc.constant("ipv4" as const),
  dscp: bits(6),
  ecn: bits(2),
  identification: bits(16),
  reserved: fc.boolean(),
  dontFragment: fc.boolean(),
  ttl: bits(8),
  source: v4,
  destination: v4,
  options: fc.array(ipOption, { maxLength: 3 }),
});
const ipv6: fc.Arbitrary<LayerSpec> = fc.record({
  kind: fc.constant("ipv6" as const),
  trafficClass: bits(8),
  flowLabel: bits(20),
  hopLimit: bits(8),
  source: v6,
  destination: v6,
});
const extension: fc.Arbitrary<LayerSpec> = fc.oneof(
  fc.record({
    kind: fc.constant("ipv6-options" as const),
    place: fc.constantFrom("hop-by-hop" as const, "destination" as const),
    options: fc.array(fc.record({ type: fc.constantFrom(5, 0xc2), data: fc.uint8Array({ maxLength: 20 }) }), {
      maxLength: 3,
    }),
  }),
  fc.record({
    kind: fc.constant("ipv6-routing" as const),
    routingType: bits(8),
    segmentsLeft: bits(8),
    data: fc.oneof(bytes(4), bytes(20), bytes(36)),
  }),
  fc.record({
    kind: fc.constant("ipv6-fragment" as const),
    fragmentOffset: fc.constant(0),
    moreFragments: fc.constant(false),
    identification: bits(32),
  }),
  fc.record({
    kind: fc.constant("ah" as const),
    spi: bits(32),
    sequence: bits(32),
    icv: fc.oneof(bytes(12), bytes(16)),
  }),
);

const ip: fc.Arbitrary<LayerSpec[]> = fc.oneof(
  fc.tuple(ipv4, transport("icmp")).map(([outer, inner]) => [outer, ...inner]),
  fc
    .tuple(ipv6, fc.array(extension, { maxLength: 3 }), transport("icmpv6"))
    .map(([outer, between, inner]) => [outer, ...between, ...inner]),
);

const ethernet: fc.Arbitrary<LayerSpec> = fc.record({
  kind: fc.constant("ethernet" as const),
  destination: bytes(6),
  source: bytes(6),
});
const vlan: fc.Arbitrary<LayerSpec> = fc.record({
  kind: fc.constant("vlan" as const),
  priority: bits(3),
  dropEligible: fc.boolean(),
  id: bits(12),
});
const arp: fc.Arbitrary<LayerSpec> = fc.record({
  kind: fc.constant("arp" as const),
  operation: bits(16),
  senderMac: bytes(6),
  senderAddress: v4,
  targetMac: bytes(6),
  targetAddress: v4,
});
const frame: fc.Arbitrary<LayerSpec[]> = fc
  .tuple(
    ethernet,
    fc.array(vlan, { maxLength: 2 }),
    fc.oneof(
      ip,
      arp.map((layer) => [layer]),
    ),
  )
  .map(([outer, tags, inner]) => [outer, ...tags, ...inner]);

const tunnelUdp: fc.Arbitrary<LayerSpec> = fc.record({ kind: fc.constant("udp" as const), sourcePort: bits(16) });
const vxlan: fc.Arbitrary<LayerSpec> = fc.record({
  kind: fc.constant("vxlan" as const),
  vni: bits(24),
  flags: bits(8),
  reserved: bits(24),
});
const geneve: fc.Arbitrary<LayerSpec> = fc.record({
  kind: fc.constant("geneve" as const),
  vni: bits(24),
  control: fc.boolean(),
  options: fc.array(fc.record({ class: bits(16), type: bits(8), data: fc.oneof(bytes(0), bytes(4), bytes(8)) }), {
    maxLength: 3,
  }),
});
const gre: fc.Arbitrary<LayerSpec> = fc.record(
  { kind: fc.constant("gre" as const), key: bits(32), sequence: bits(32), checksum: fc.constant("compute" as const) },
  { requiredKeys: ["kind"] },
);

const outer = fc.oneof(ipv4, ipv6);
const tunnelled: fc.Arbitrary<LayerSpec[]> = fc.oneof(
  fc.tuple(outer, tunnelUdp, vxlan, frame).map(([a, b, c, inner]) => [a, b, c, ...inner]),
  fc.tuple(outer, tunnelUdp, geneve, frame).map(([a, b, c, inner]) => [a, b, c, ...inner]),
  fc.tuple(outer, gre, fc.oneof(ip, frame)).map(([a, b, inner]) => [a, b, ...inner]),
  fc.tuple(outer, ip).map(([a, inner]) => [a, ...inner]),
);

/** A packet to build, and what its first byte belongs to. */
export interface PacketSpec {
  readonly layers: readonly LayerSpec[];
  readonly first: NonNullable<ParseOptions["first"]>;
}

/** Well-formed packets of every kind, tunnels included. */
export const packetSpec: fc.Arbitrary<PacketSpec> = fc.oneof(
  frame.map((layers): PacketSpec => ({ layers, first: "ethernet" })),
  fc.oneof(ip, tunnelled).map((layers): PacketSpec => ({ layers, first: "ip" })),
);

/** What a parsed layer must have of the layer that it was built from: all but padding of options and what is computed. */
export function layersOf(layer: LayerSpec): object {
  const { ...fields }: Record<string, unknown> = { ...layer };
  delete fields["options"];
  delete fields["chunks"];
  if (fields["checksum"] === "compute") delete fields["checksum"];
  return fields;
}
