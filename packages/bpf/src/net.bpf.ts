// Protocol headers as they are on the wire. Ordinary declarations: a program may make its own beside them.
import { array, be16, be32, bits, struct, u16, u32, u8 } from "@skep/bpf";

/** IEEE 802.3. */
export const Ethernet = struct("Ethernet", { destination: array(u8, 6), source: array(u8, 6), type: be16 });

/** IEEE 802.1Q, after the Ethernet addresses and the tag's own type. */
export const Vlan = struct("Vlan", { tag: be16, type: be16 });

/** RFC 826 for IPv4 over Ethernet. */
export const Arp = struct(
  "Arp",
  {
    hardware: be16,
    protocol: be16,
    hardwareLength: u8,
    protocolLength: u8,
    operation: be16,
    senderMac: array(u8, 6),
    senderIp: be32,
    targetMac: array(u8, 6),
    targetIp: be32,
  },
  { packed: true },
);

/** RFC 791. `ihl` counts words of four bytes; `fragment` is flags and offset. */
export const Ipv4 = struct("Ipv4", {
  ihl: bits(u8, 4),
  version: bits(u8, 4),
  tos: u8,
  length: be16,
  identification: be16,
  fragment: be16,
  ttl: u8,
  protocol: u8,
  checksum: be16,
  source: be32,
  destination: be32,
});

/** Four words of a 16-byte address. */
export const Ipv6Address = struct("Ipv6Address", { w0: be32, w1: be32, w2: be32, w3: be32 });

/** RFC 8200. The first word is version (4 bits), traffic class (8) and flow label (20). */
export const Ipv6 = struct("Ipv6", {
  versionClassFlow: be32,
  length: be16,
  nextHeader: u8,
  hopLimit: u8,
  source: Ipv6Address,
  destination: Ipv6Address,
});

/** Extension headers of IPv6 but for fragments: `length` counts eight bytes beyond the first eight (RFC 4302's: four bytes beyond eight). */
export const Ipv6Option = struct("Ipv6Option", { nextHeader: u8, length: u8 });
export const Ipv6Fragment = struct("Ipv6Fragment", {
  nextHeader: u8,
  reserved: u8,
  offset: be16,
  identification: be32,
});

/** RFC 9293. `offset` counts words of four bytes; `flags` holds the eight bits from CWR to FIN. */
export const Tcp = struct("Tcp", {
  source: be16,
  destination: be16,
  sequence: be32,
  acknowledgement: be32,
  reserved: bits(u8, 4),
  offset: bits(u8, 4),
  flags: u8,
  window: be16,
  checksum: be16,
  urgent: be16,
});

export const Udp = struct("Udp", { source: be16, destination: be16, length: be16, checksum: be16 });

/** RFC 792; the last four bytes as an echo has them. */
export const Icmp = struct("Icmp", { type: u8, code: u8, checksum: be16, identifier: be16, sequence: be16 });
export const Icmpv6 = struct("Icmpv6", { type: u8, code: u8, checksum: be16, identifier: be16, sequence: be16 });

export const Sctp = struct("Sctp", { source: be16, destination: be16, tag: be32, checksum: u32 });

/** RFC 7348: the network identifier is the high 24 bits of `vni`. */
export const Vxlan = struct("Vxlan", { flags: be32, vni: be32 });
/** RFC 8926. `options` counts words of four bytes in the low six bits. */
export const Geneve = struct("Geneve", { options: u8, flags: u8, protocol: be16, vni: be32 });
/** RFC 2784 and 2890: `GRE` says what follows. */
export const Gre = struct("Gre", { flags: be16, protocol: be16 });
export const GRE = { CHECKSUM: 0x8000, KEY: 0x2000, SEQUENCE: 0x1000, VERSION: 0x0007 } as const;

/** Generic UDP encapsulation (draft-ietf-intarea-gue): `words` counts words of four bytes after these four; `control` is not data. */
export const Gue = struct("Gue", {
  words: bits(u8, 5),
  control: bits(u8, 1),
  version: bits(u8, 2),
  protocol: u8,
  flags: be16,
});

/** RFC 1035. `flags` are QR, opcode, AA, TC, RD, RA, Z and the response code. */
export const Dns = struct("Dns", {
  id: be16,
  flags: be16,
  questions: be16,
  answers: be16,
  authorities: be16,
  additional: be16,
});
export const DNS_FLAG = { RESPONSE: 0x8000, TRUNCATED: 0x0200, RECURSION: 0x0100 } as const;

/** RFC 9260: the head of a chunk; `length` with it, without padding. */
export const SctpChunk = struct("SctpChunk", { type: u8, flags: u8, length: be16 });

/** RFC 8926: `length` (in the low five bits) counts words of four bytes after these four. */
export const GeneveOption = struct("GeneveOption", { class: be16, type: u8, length: u8 });

/** struct bpf_fib_lookup for IPv4; `length` is what `fibLookup` checks against the MTU, and gives the MTU back. */
export const FibLookup = struct("FibLookup", {
  family: u8,
  protocol: u8,
  sourcePort: be16,
  destinationPort: be16,
  length: u16,
  ifindex: u32,
  tos: u32,
  source: Ipv6Address,
  destination: Ipv6Address,
  vlanProtocol: be16,
  vlanTag: be16,
  sourceMac: array(u8, 6),
  destinationMac: array(u8, 6),
});

/** What socket lookups take (struct bpf_sock_tuple). */
export const Ipv4Tuple = struct("Ipv4Tuple", {
  source: be32,
  destination: be32,
  sourcePort: be16,
  destinationPort: be16,
});
export const Ipv6Tuple = struct("Ipv6Tuple", {
  source: Ipv6Address,
  destination: Ipv6Address,
  sourcePort: be16,
  destinationPort: be16,
});

export const ETHERTYPE = {
  IPV4: 0x0800,
  ARP: 0x0806,
  VLAN: 0x8100,
  IPV6: 0x86dd,
  QINQ: 0x88a8,
  /** Ethernet in GRE and Geneve. */
  BRIDGED: 0x6558,
} as const;

/** UDP ports of tunnels and names. */
export const PORT = { DNS: 53, VXLAN: 4789, VXLAN_LINUX: 8472, GENEVE: 6081, GUE: 6080 } as const;

export const PROTOCOL = {
  HOP_BY_HOP: 0,
  ICMP: 1,
  IPIP: 4,
  TCP: 6,
  UDP: 17,
  IPV6: 41,
  ROUTING: 43,
  FRAGMENT: 44,
  GRE: 47,
  ESP: 50,
  AUTHENTICATION: 51,
  ICMPV6: 58,
  NO_NEXT: 59,
  DESTINATION_OPTIONS: 60,
  SCTP: 132,
} as const;

export const TCP_FLAG = {
  FIN: 0x01,
  SYN: 0x02,
  RST: 0x04,
  PSH: 0x08,
  ACK: 0x10,
  URG: 0x20,
  ECE: 0x40,
  CWR: 0x80,
} as const;
