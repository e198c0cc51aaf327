import type { Address, Mac } from "../address.ts";
import type { GeneveOption, IpOption, SctpChunk, TcpOption } from "./options.ts";

/** Ethernet II. Lengths below 1536 (802.3) are kept in `etherType`. */
export interface Ethernet {
  readonly kind: "ethernet";
  readonly destination: Mac;
  readonly source: Mac;
  readonly etherType: number;
}

/** What follows the tag protocol identifier (which is the `etherType` of the layer before) in 802.1Q and 802.1ad. */
export interface Vlan {
  readonly kind: "vlan";
  /** 0 to 7. */
  readonly priority: number;
  readonly dropEligible: boolean;
  /** 0 to 4095. */
  readonly id: number;
  readonly etherType: number;
}

/** ARP for IPv4 over Ethernet (RFC 826). */
export interface Arp {
  readonly kind: "arp";
  /** 1 request, 2 reply. */
  readonly operation: number;
  readonly senderMac: Mac;
  readonly senderAddress: Address;
  readonly targetMac: Mac;
  readonly targetAddress: Address;
}

/** RFC 791. The header's length follows from the options. */
export interface Ipv4 {
  readonly kind: "ipv4";
  /** 6 bits. */
  readonly dscp: number;
  /** 2 bits. */
  readonly ecn: number;
  /** Bytes of header and data. */
  readonly totalLength: number;
  readonly identification: number;
  /** The first of the three flags, which should be false. */
  readonly reserved: boolean;
  readonly dontFragment: boolean;
  readonly moreFragments: boolean;
  /** Bytes, a multiple of 8. */
  readonly fragmentOffset: number;
  readonly ttl: number;
  readonly protocol: number;
  readonly checksum: number;
  readonly source: Address;
  readonly destination: Address;
  readonly options: readonly IpOption[];
}

/** RFC 8200. */
export interface Ipv6 {
  readonly kind: "ipv6";
  readonly trafficClass: number;
  /** 20 bits. */
  readonly flowLabel: number;
  /** Bytes after this header. */
  readonly payloadLength: number;
  readonly nextHeader: number;
  readonly hopLimit: number;
  readonly source: Address;
  readonly destination: Address;
}

/** Hop-by-hop (next header 0) or destination options (60), RFC 8200 sections 4.3 and 4.6. */
export interface Ipv6Options {
  readonly kind: "ipv6-options";
  readonly place: "hop-by-hop" | "destination";
  readonly nextHeader: number;
  readonly options: readonly IpOption[];
}

/** RFC 8200 section 4.4; segment routing has type 4 (RFC 8754). */
export interface Ipv6Routing {
  readonly kind: "ipv6-routing";
  readonly nextHeader: number;
  readonly routingType: number;
  readonly segmentsLeft: number;
  /** What follows the first four bytes; padded with zeros to a length of 4 modulo 8. */
  readonly data: Uint8Array;
}

/** RFC 8200 section 4.5. */
export interface Ipv6Fragment {
  readonly kind: "ipv6-fragment";
  readonly nextHeader: number;
  /** The second byte, 0 when sent. */
  readonly reserved: number;
  /** Bytes, a multiple of 8. */
  readonly fragmentOffset: number;
  /** The two bits between offset and flag, 0 when sent. */
  readonly reservedBits: number;
  readonly moreFragments: boolean;
  readonly identification: number;
}

/** Authentication header, RFC 4302. */
export interface Ah {
  readonly kind: "ah";
  readonly nextHeader: number;
  readonly reserved: number;
  readonly spi: number;
  readonly sequence: number;
  /** A multiple of 4 bytes. */
  readonly icv: Uint8Array;
}

/** RFC 9293. The header's length follows from the options. */
export interface Tcp {
  readonly kind: "tcp";
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly sequence: number;
  readonly acknowledgment: number;
  /** The three bits before the flags, 0 when sent. */
  readonly reserved: number;
  /** Sum of `tcpFlags`. */
  readonly flags: number;
  readonly window: number;
  readonly checksum: number;
  readonly urgent: number;
  readonly options: readonly TcpOption[];
}

/** RFC 768. */
export interface Udp {
  readonly kind: "udp";
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** Bytes of header and data. */
  readonly length: number;
  /** 0: none. */
  readonly checksum: number;
}

/** RFC 9260. The chunks are the rest of the packet. */
export interface Sctp {
  readonly kind: "sctp";
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly verificationTag: number;
  /** CRC-32C, as an unsigned number. */
  readonly checksum: number;
  readonly chunks: readonly SctpChunk[];
}

/** RFC 792. What follows the first eight bytes is the next layer. */
export interface Icmp {
  readonly kind: "icmp";
  readonly type: number;
  readonly code: number;
  readonly checksum: number;
  /** Bytes 4 to 7 as a number: of echo identifier and sequence, of other types the MTU, the gateway or nothing. */
  readonly rest: number;
}

/** RFC 4443. What follows the first eight bytes is the next layer. */
export interface Icmpv6 {
  readonly kind: "icmpv6";
  readonly type: number;
  readonly code: number;
  readonly checksum: number;
  readonly rest: number;
}

/** RFC 7348, with the reserved fields that group policy uses. */
export interface Vxlan {
  readonly kind: "vxlan";
  /** 0x08: the VNI is valid. */
  readonly flags: number;
  /** Bytes 1 to 3. */
  readonly reserved: number;
  /** 24 bits. */
  readonly vni: number;
  /** Byte 7. */
  readonly reservedEnd: number;
}

/** RFC 8926. */
export interface Geneve {
  readonly kind: "geneve";
  /** Control packet. */
  readonly control: boolean;
  /** Critical options present. */
  readonly critical: boolean;
  readonly reserved: number;
  /** An EtherType. */
  readonly protocol: number;
  /** 24 bits. */
  readonly vni: number;
  readonly reservedEnd: number;
  readonly options: readonly GeneveOption[];
}

/** RFC 2784 and 2890. */
export interface Gre {
  readonly kind: "gre";
  /** An EtherType. */
  readonly protocol: number;
  /** Null: not present. The second half of its word is 0 when sent. */
  readonly checksum: { readonly value: number; readonly reserved: number } | null;
  readonly key: number | null;
  readonly sequence: number | null;
  /** Bits 6 to 12 of the first word where they stand (mask 0x03f8), 0 when sent. */
  readonly reserved: number;
}

/** Bytes that no layer claims. */
export interface Payload {
  readonly kind: "payload";
  readonly bytes: Uint8Array;
}

/** Bytes after the end that the lengths inside give, such as Ethernet's padding. */
export interface Trailer {
  readonly kind: "trailer";
  readonly bytes: Uint8Array;
}

/** A header, or bytes that belong to none. */
export type Layer =
  | Ethernet
  | Vlan
  | Arp
  | Ipv4
  | Ipv6
  | Ipv6Options
  | Ipv6Routing
  | Ipv6Fragment
  | Ah
  | Tcp
  | Udp
  | Sctp
  | Icmp
  | Icmpv6
  | Vxlan
  | Geneve
  | Gre
  | Payload
  | Trailer;

/** The kinds of layers. */
export type LayerKind = Layer["kind"];
/** The layer of a kind. */
export type LayerOf<K extends LayerKind> = Extract<Layer, { readonly kind: K }>;

/** EtherTypes. */
export const etherTypes = {
  ipv4: 0x0800,
  arp: 0x0806,
  /** Transparent Ethernet bridging, in GRE and Geneve. */
  ethernet: 0x6558,
  vlan: 0x8100,
  ipv6: 0x86dd,
  qinq: 0x88a8,
} as const;

/** Bits of `Tcp.flags`. */
export const tcpFlags = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16, urg: 32, ece: 64, cwr: 128, ae: 256 } as const;

/** The set flags by name, such as `SYN,ACK`; "" for none. */
export function formatTcpFlags(flags: number): string {
  return Object.entries(tcpFlags)
    .filter(([, bit]) => (flags & bit) !== 0)
    .map(([name]) => name.toUpperCase())
    .join(",");
}

/** The ports that tell tunnels from other UDP. */
export const tunnelPorts = { vxlan: [4789, 8472], geneve: [6081] } as const;
