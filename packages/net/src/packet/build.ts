import type { Address } from "../address.ts";
import { checksum, pseudoHeaderSum } from "../checksum.ts";
import { crc32c } from "../hash.ts";
import { ipProtocols } from "../port.ts";
import type { LayerKind, LayerOf } from "./layers.ts";
import { etherTypes, tunnelPorts } from "./layers.ts";
import {
  encodeGeneveOptions,
  encodeIpv4Options,
  encodeIpv6Options,
  encodeSctpChunks,
  encodeTcpOptions,
  padTo,
} from "./options.ts";

/** Fields that follow from the rest of the packet. */
interface Computed {
  readonly ethernet: "etherType";
  readonly vlan: "etherType";
  readonly ipv4: "totalLength" | "protocol" | "checksum";
  readonly ipv6: "payloadLength" | "nextHeader";
  readonly "ipv6-options": "nextHeader";
  readonly "ipv6-routing": "nextHeader";
  readonly "ipv6-fragment": "nextHeader";
  readonly ah: "nextHeader";
  readonly tcp: "checksum";
  readonly udp: "length" | "checksum" | "destinationPort";
  readonly sctp: "checksum";
  readonly icmp: "checksum";
  readonly icmpv6: "checksum";
  readonly geneve: "protocol" | "critical";
  readonly gre: "protocol";
}

/** Fields that may be left out: those that are computed, and those that have a usual value. */
type Usual = {
  readonly vlan: "priority" | "dropEligible";
  readonly arp: never;
  readonly ipv4:
    | "dscp"
    | "ecn"
    | "identification"
    | "reserved"
    | "dontFragment"
    | "moreFragments"
    | "fragmentOffset"
    | "ttl"
    | "options";
  readonly ipv6: "trafficClass" | "flowLabel" | "hopLimit";
  readonly "ipv6-options": "options";
  readonly "ipv6-fragment": "reserved" | "reservedBits";
  readonly ah: "reserved";
  readonly tcp: "sequence" | "acknowledgment" | "reserved" | "flags" | "window" | "urgent" | "options";
  readonly sctp: "verificationTag" | "chunks";
  readonly icmp: "code" | "rest";
  readonly icmpv6: "code" | "rest";
  readonly vxlan: "flags" | "reserved" | "reservedEnd";
  readonly geneve: "control" | "reserved" | "reservedEnd" | "options";
  readonly gre: "checksum" | "key" | "sequence" | "reserved";
};

type Optional<K extends LayerKind> =
  (K extends keyof Computed ? Computed[K] : never) | (K extends keyof Usual ? Usual[K] : never);

type SpecOf<K extends LayerKind> = Omit<LayerOf<K>, Optional<K>> &
  Partial<Pick<LayerOf<K>, Optional<K> & keyof LayerOf<K>>>;

/**
 * A layer to build. What may be left out is computed (lengths, checksums, the protocol of what is inside) or has its
 * usual value (0, false, none; a TTL of 64, a window of 65535, `flags` of VXLAN 8). In GRE `checksum: "compute"`.
 */
export type LayerSpec =
  | { readonly [K in Exclude<LayerKind, "gre">]: SpecOf<K> }[Exclude<LayerKind, "gre">]
  | (Omit<SpecOf<"gre">, "checksum"> & { readonly checksum?: LayerOf<"gre">["checksum"] | "compute" });

type Spec<K extends LayerKind> = Extract<LayerSpec, { readonly kind: K }>;

/** What a header is built from besides its own fields. */
interface Context {
  /** Everything inside, built. */
  readonly payload: Uint8Array;
  readonly next: LayerSpec | null;
  /** Addresses of the pseudo header: of the nearest IP layer outside. */
  readonly addresses: { readonly source: Address; readonly destination: Address } | null;
}

/** How a packet is built. */
export interface BuildOptions {
  /** Zeros are added up to this length: 60 for Ethernet on a wire. */
  readonly minLength?: number;
}

/**
 * The bytes of a packet given by its layers from the outermost. Fields that are given are taken as they are, so that
 * wrong packets can be built too. Throws a RangeError where a field is left out that cannot be computed: a protocol
 * whose payload has no number, a checksum without an IP layer outside.
 */
export function buildPacket(layers: readonly LayerSpec[], options: BuildOptions = {}): Uint8Array {
  const inner = layers.filter((layer) => layer.kind !== "trailer");
  let payload: Uint8Array = new Uint8Array(0);
  for (let i = inner.length - 1; i >= 0; i--) {
    const layer = inner[i];
    if (layer === undefined) continue;
    const context = { payload, next: inner[i + 1] ?? null, addresses: addressesAround(inner, i) };
    payload = join(buildHeader(layer, context), payload);
  }
  for (const layer of layers) if (layer.kind === "trailer") payload = join(payload, layer.bytes);
  const missing = (options.minLength ?? 0) - payload.length;
  return missing > 0 ? join(payload, new Uint8Array(missing)) : payload;
}

function join(first: Uint8Array, second: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(first.length + second.length);
  bytes.set(first);
  bytes.set(second, first.length);
  return bytes;
}

function buildHeader(layer: LayerSpec, context: Context): Uint8Array {
  switch (layer.kind) {
    case "ethernet":
      return buildEthernet(layer, context);
    case "vlan":
      return buildVlan(layer, context);
    case "arp":
      return buildArp(layer);
    case "ipv4":
      return buildIpv4(layer, context);
    case "ipv6":
      return buildIpv6(layer, context);
    case "ipv6-options":
      return buildIpv6Options(layer, context);
    case "ipv6-routing":
      return buildIpv6Routing(layer, context);
    case "ipv6-fragment":
      return buildIpv6Fragment(layer, context);
    case "ah":
      return buildAh(layer, context);
    case "tcp":
      return buildTcp(layer, context);
    case "udp":
      return buildUdp(layer, context);
    case "sctp":
      return buildSctp(layer, context);
    case "icmp":
    case "icmpv6":
      return buildIcmp(layer, context);
    case "vxlan":
      return buildVxlan(layer);
    case "geneve":
      return buildGeneve(layer, context);
    case "gre":
      return buildGre(layer, context);
    case "payload":
    case "trailer":
      return layer.bytes;
  }
}

/** The addresses that a checksum inside of layer `index` covers. */
function addressesAround(layers: readonly LayerSpec[], index: number): Context["addresses"] {
  let final: Address | null = null;
  for (let i = index - 1; i >= 0; i--) {
    const layer = layers[i];
    if (layer?.kind === "ipv6-routing") final = finalDestination(layer) ?? final;
    if (layer?.kind === "ipv4" || layer?.kind === "ipv6") {
      return { source: layer.source, destination: final ?? layer.destination };
    }
  }
  return null;
}

/** RFC 8200 section 8.1: while segments are left, the pseudo header has the last destination. */
export function finalDestination({
  routingType,
  segmentsLeft,
  data,
}: Pick<LayerOf<"ipv6-routing">, "routingType" | "segmentsLeft" | "data">): Address | null {
  if (segmentsLeft === 0) return null;
  // RFC 8754: the segments stand in reverse order after four bytes. RFC 6275 and 5095: in order after four bytes.
  const at = routingType === 4 ? 4 : routingType === 0 || routingType === 2 ? data.length - 16 : -1;
  return at >= 4 && at + 16 <= data.length ? { family: 6, bytes: data.subarray(at, at + 16) } : null;
}

const etherTypeOf: Partial<Record<LayerKind, number>> = {
  ipv4: etherTypes.ipv4,
  ipv6: etherTypes.ipv6,
  arp: etherTypes.arp,
  vlan: etherTypes.vlan,
  ethernet: etherTypes.ethernet,
};

const protocolOf: Partial<Record<LayerKind, number>> = {
  icmp: ipProtocols.icmp,
  ipv4: ipProtocols.ipip,
  tcp: ipProtocols.tcp,
  udp: ipProtocols.udp,
  ipv6: ipProtocols.ipv6,
  gre: ipProtocols.gre,
  ah: ipProtocols.ah,
  icmpv6: ipProtocols.icmpv6,
  sctp: ipProtocols.sctp,
  "ipv6-routing": ipProtocols.route,
  "ipv6-fragment": ipProtocols.fragment,
};

function etherTypeFor(layer: LayerKind, next: LayerSpec | null): number {
  const found = next === null ? 0 : etherTypeOf[next.kind];
  if (found === undefined) throw new RangeError(`${layer}: the EtherType of ${next?.kind} has to be given`);
  return found;
}

function protocolFor(layer: LayerKind, next: LayerSpec | null): number {
  if (next === null) return ipProtocols.none;
  if (next.kind === "ipv6-options") return next.place === "hop-by-hop" ? ipProtocols.hopopts : ipProtocols.dstopts;
  const found = protocolOf[next.kind];
  if (found === undefined) throw new RangeError(`${layer}: the protocol of ${next.kind} has to be given`);
  return found;
}

/** A header of that many bytes with a view to write it. */
function header(length: number): { readonly bytes: Uint8Array; readonly view: DataView } {
  const bytes = new Uint8Array(length);
  return { bytes, view: new DataView(bytes.buffer) };
}

function pseudoSum(layer: LayerKind, context: Context, protocol: number, length: number): number {
  if (context.addresses === null)
    throw new RangeError(`${layer}: the checksum needs an IP layer outside, or has to be given`);
  return pseudoHeaderSum(context.addresses, protocol, length);
}

function buildEthernet(layer: Spec<"ethernet">, { next }: Context): Uint8Array {
  const { bytes, view } = header(14);
  bytes.set(layer.destination);
  bytes.set(layer.source, 6);
  view.setUint16(12, layer.etherType ?? etherTypeFor("ethernet", next));
  return bytes;
}

function buildVlan(layer: Spec<"vlan">, { next }: Context): Uint8Array {
  const { bytes, view } = header(4);
  view.setUint16(0, ((layer.priority ?? 0) << 13) | (layer.dropEligible === true ? 0x1000 : 0) | layer.id);
  view.setUint16(2, layer.etherType ?? etherTypeFor("vlan", next));
  return bytes;
}

function buildArp(layer: Spec<"arp">): Uint8Array {
  const { bytes, view } = header(28);
  view.setUint32(0, 0x0001_0800);
  view.setUint16(4, 0x0604);
  view.setUint16(6, layer.operation);
  bytes.set(layer.senderMac, 8);
  bytes.set(layer.senderAddress.bytes, 14);
  bytes.set(layer.targetMac, 18);
  bytes.set(layer.targetAddress.bytes, 24);
  return bytes;
}

function buildIpv4(layer: Spec<"ipv4">, { payload, next }: Context): Uint8Array {
  const options = padTo(encodeIpv4Options(layer.options ?? []), 4);
  if (options.length > 40) throw new RangeError(`ipv4: ${options.length} bytes of options, at most 40 fit`);
  const { bytes, view } = header(20 + options.length);
  view.setUint8(0, 0x40 | (bytes.length / 4));
  view.setUint8(1, ((layer.dscp ?? 0) << 2) | (layer.ecn ?? 0));
  view.setUint16(2, layer.totalLength ?? bytes.length + payload.length);
  view.setUint16(4, layer.identification ?? 0);
  const flags = (layer.reserved === true ? 0x8000 : 0) | (layer.dontFragment === true ? 0x4000 : 0);
  view.setUint16(6, flags | (layer.moreFragments === true ? 0x2000 : 0) | ((layer.fragmentOffset ?? 0) >> 3));
  view.setUint8(8, layer.ttl ?? 64);
  view.setUint8(9, layer.protocol ?? protocolFor("ipv4", next));
  bytes.set(layer.source.bytes, 12);
  bytes.set(layer.destination.bytes, 16);
  bytes.set(options, 20);
  view.setUint16(10, layer.checksum ?? checksum(bytes));
  return bytes;
}

function buildIpv6(layer: Spec<"ipv6">, { payload, next }: Context): Uint8Array {
  const { bytes, view } = header(40);
  view.setUint32(0, (6 << 28) | ((layer.trafficClass ?? 0) << 20) | (layer.flowLabel ?? 0));
  view.setUint16(4, layer.payloadLength ?? payload.length);
  view.setUint8(6, layer.nextHeader ?? protocolFor("ipv6", next));
  view.setUint8(7, layer.hopLimit ?? 64);
  bytes.set(layer.source.bytes, 8);
  bytes.set(layer.destination.bytes, 24);
  return bytes;
}

function buildIpv6Options(layer: Spec<"ipv6-options">, { next }: Context): Uint8Array {
  const options = encodeIpv6Options(layer.options ?? []);
  const { bytes, view } = header(2 + options.length);
  bytes.set(options, 2);
  view.setUint8(0, layer.nextHeader ?? protocolFor("ipv6-options", next));
  view.setUint8(1, bytes.length / 8 - 1);
  return bytes;
}

function buildIpv6Routing(layer: Spec<"ipv6-routing">, { next }: Context): Uint8Array {
  const length = 4 + layer.data.length;
  const { bytes, view } = header(Math.max(8, length + ((8 - (length % 8)) % 8)));
  view.setUint8(0, layer.nextHeader ?? protocolFor("ipv6-routing", next));
  view.setUint8(1, bytes.length / 8 - 1);
  view.setUint8(2, layer.routingType);
  view.setUint8(3, layer.segmentsLeft);
  bytes.set(layer.data, 4);
  return bytes;
}

function buildIpv6Fragment(layer: Spec<"ipv6-fragment">, { next }: Context): Uint8Array {
  const { bytes, view } = header(8);
  view.setUint8(0, layer.nextHeader ?? protocolFor("ipv6-fragment", next));
  view.setUint8(1, layer.reserved ?? 0);
  const bits = ((layer.reservedBits ?? 0) << 1) | (layer.moreFragments ? 1 : 0);
  view.setUint16(2, (layer.fragmentOffset & 0xfff8) | bits);
  view.setUint32(4, layer.identification);
  return bytes;
}

function buildAh(layer: Spec<"ah">, { next }: Context): Uint8Array {
  const icv = padTo(layer.icv, 4);
  const { bytes, view } = header(12 + icv.length);
  view.setUint8(0, layer.nextHeader ?? protocolFor("ah", next));
  view.setUint8(1, bytes.length / 4 - 2);
  view.setUint16(2, layer.reserved ?? 0);
  view.setUint32(4, layer.spi);
  view.setUint32(8, layer.sequence);
  bytes.set(icv, 12);
  return bytes;
}

function buildTcp(layer: Spec<"tcp">, context: Context): Uint8Array {
  const options = padTo(encodeTcpOptions(layer.options ?? []), 4);
  if (options.length > 40) throw new RangeError(`tcp: ${options.length} bytes of options, at most 40 fit`);
  const { bytes, view } = header(20 + options.length);
  view.setUint16(0, layer.sourcePort);
  view.setUint16(2, layer.destinationPort);
  view.setUint32(4, layer.sequence ?? 0);
  view.setUint32(8, layer.acknowledgment ?? 0);
  view.setUint16(12, ((bytes.length / 4) << 12) | ((layer.reserved ?? 0) << 9) | (layer.flags ?? 0));
  view.setUint16(14, layer.window ?? 65_535);
  view.setUint16(18, layer.urgent ?? 0);
  bytes.set(options, 20);
  view.setUint16(16, layer.checksum ?? segmentChecksum("tcp", ipProtocols.tcp, bytes, context));
  return bytes;
}

function segmentChecksum(layer: LayerKind, protocol: number, bytes: Uint8Array, context: Context): number {
  const { payload } = context;
  const sum = pseudoSum(layer, context, protocol, bytes.length + payload.length);
  return checksum(join(bytes, payload), sum);
}

function tunnelPort(next: LayerSpec | null): number {
  if (next?.kind === "vxlan" || next?.kind === "geneve") return tunnelPorts[next.kind][0];
  throw new RangeError("udp: the destination port has to be given");
}

function buildUdp(layer: Spec<"udp">, context: Context): Uint8Array {
  const { bytes, view } = header(8);
  view.setUint16(0, layer.sourcePort);
  view.setUint16(2, layer.destinationPort ?? tunnelPort(context.next));
  view.setUint16(4, layer.length ?? 8 + context.payload.length);
  // RFC 768: a computed checksum of zero is sent as all ones, for zero means none.
  view.setUint16(6, layer.checksum ?? (segmentChecksum("udp", ipProtocols.udp, bytes, context) || 0xffff));
  return bytes;
}

function buildSctp(layer: Spec<"sctp">, { payload }: Context): Uint8Array {
  const chunks = encodeSctpChunks(layer.chunks ?? []);
  const { bytes, view } = header(12 + chunks.length);
  view.setUint16(0, layer.sourcePort);
  view.setUint16(2, layer.destinationPort);
  view.setUint32(4, layer.verificationTag ?? 0);
  bytes.set(chunks, 12);
  view.setUint32(8, layer.checksum ?? crc32c(payload, crc32c(bytes)), true);
  return bytes;
}

function buildIcmp(layer: Spec<"icmp"> | Spec<"icmpv6">, context: Context): Uint8Array {
  const { bytes, view } = header(8);
  view.setUint8(0, layer.type);
  view.setUint8(1, layer.code ?? 0);
  view.setUint32(4, layer.rest ?? 0);
  const computed = () =>
    layer.kind === "icmp"
      ? checksum(join(bytes, context.payload))
      : segmentChecksum("icmpv6", ipProtocols.icmpv6, bytes, context);
  view.setUint16(2, layer.checksum ?? computed());
  return bytes;
}

function buildVxlan(layer: Spec<"vxlan">): Uint8Array {
  const { bytes, view } = header(8);
  view.setUint32(0, ((layer.flags ?? 8) << 24) | (layer.reserved ?? 0));
  view.setUint32(4, (layer.vni << 8) | (layer.reservedEnd ?? 0));
  return bytes;
}

function buildGeneve(layer: Spec<"geneve">, { next }: Context): Uint8Array {
  const options = encodeGeneveOptions(layer.options ?? []);
  if (options.length > 252) throw new RangeError(`geneve: ${options.length} bytes of options, at most 252 fit`);
  const { bytes, view } = header(8 + options.length);
  const critical = layer.critical ?? (layer.options ?? []).some((option) => (option.type & 0x80) !== 0);
  view.setUint8(0, options.length / 4);
  view.setUint8(1, (layer.control === true ? 0x80 : 0) | (critical ? 0x40 : 0) | (layer.reserved ?? 0));
  view.setUint16(2, layer.protocol ?? etherTypeFor("geneve", next));
  view.setUint32(4, (layer.vni << 8) | (layer.reservedEnd ?? 0));
  bytes.set(options, 8);
  return bytes;
}

function buildGre(layer: Spec<"gre">, { payload, next }: Context): Uint8Array {
  const key = layer.key ?? null;
  const sequence = layer.sequence ?? null;
  const check = layer.checksum ?? null;
  const words = [check === null ? null : 0, key, sequence].filter((word) => word !== null);
  const { bytes, view } = header(4 + words.length * 4);
  const flags = (check === null ? 0 : 0x8000) | (key === null ? 0 : 0x2000) | (sequence === null ? 0 : 0x1000);
  view.setUint16(0, flags | (layer.reserved ?? 0));
  view.setUint16(2, layer.protocol ?? etherTypeFor("gre", next));
  for (const [i, word] of words.entries()) view.setUint32(4 + i * 4, word);
  if (check === "compute") view.setUint16(4, checksum(join(bytes, payload)));
  else if (check !== null) view.setUint32(4, ((check.value << 16) | check.reserved) >>> 0);
  return bytes;
}
