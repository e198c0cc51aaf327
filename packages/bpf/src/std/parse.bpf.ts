// Headers of variable length: VLAN tags, IPv4 and TCP options, IPv6 extensions, tunnels, DNS questions.
import { be16, be32, range, struct, u16, u32, u64, u8, type PacketContext } from "@skep/bpf";
import {
  Dns,
  ETHERTYPE,
  Geneve,
  GeneveOption,
  Gre,
  GRE,
  Gue,
  Ipv4,
  Ipv6,
  Ipv6Fragment,
  Ipv6Option,
  PORT,
  PROTOCOL,
  Tcp,
  Udp,
  Vlan,
  Vxlan,
} from "../net.bpf.ts";

export interface Transport {
  /** Of the first header that is no extension. */
  protocol: u8;
  offset: u32;
  /** Not the first fragment: there is no transport header. */
  fragment: boolean;
}

const MAX_EXTENSIONS = 6;

/** Goes over the extension headers of the IPv6 header at `offset` (RFC 8200); null where the packet is too short or has too many. */
export function skipIpv6Extensions(ctx: PacketContext, offset: u32): Transport | null {
  const ip = ctx.header(Ipv6, offset);
  if (!ip) return null;
  let protocol: u8 = ip.nextHeader;
  let at: u32 = offset + Ipv6.size;
  for (const _ of range(MAX_EXTENSIONS)) {
    if (protocol === PROTOCOL.FRAGMENT) {
      const part = ctx.header(Ipv6Fragment, at);
      if (!part) return null;
      protocol = part.nextHeader;
      at += Ipv6Fragment.size;
      // What follows in a later fragment is the middle of something, whatever it is called.
      if (part.offset >> 3 !== 0) return { protocol, offset: at, fragment: true };
    } else if (protocol === PROTOCOL.AUTHENTICATION) {
      const option = ctx.header(Ipv6Option, at);
      if (!option) return null;
      protocol = option.nextHeader;
      // RFC 4302: words of four bytes, two less than there are.
      at += (u32(option.length) + 2) * 4;
    } else if (
      protocol === PROTOCOL.HOP_BY_HOP ||
      protocol === PROTOCOL.ROUTING ||
      protocol === PROTOCOL.DESTINATION_OPTIONS
    ) {
      const option = ctx.header(Ipv6Option, at);
      if (!option) return null;
      protocol = option.nextHeader;
      at += (u32(option.length) + 1) * 8;
    } else {
      return { protocol, offset: at, fragment: false };
    }
  }
  return null;
}

const OptionHead = struct("TcpOptionHead", { kind: u8, length: u8 });
const OptionKind = struct("TcpOptionKind", { kind: u8 });

const MAX_OPTIONS = 10;

/** Offset of the TCP option of `kind` in the packet, whose TCP header is at `offset`; null where there is none. */
export function findTcpOption(ctx: PacketContext, offset: u32, kind: u8): u32 | null {
  const tcp = ctx.header(Tcp, offset);
  if (!tcp) return null;
  const end: u32 = offset + tcp.offset * 4;
  let at: u32 = offset + Tcp.size;
  for (const _ of range(MAX_OPTIONS)) {
    if (at >= end) return null;
    const first = ctx.header(OptionKind, at);
    if (!first || first.kind === 0) return null;
    if (first.kind === 1) {
      at += 1;
      continue;
    }
    const head = ctx.header(OptionHead, at);
    if (!head) return null;
    if (head.kind === kind) return at;
    if (head.length < 2) return null;
    at += head.length;
  }
  return null;
}

/** What stands behind up to two VLAN tags. */
export interface Network {
  type: u16;
  offset: u32;
  /** Identifier of the inner tag, or of the only one; 0 where there is none. */
  vlan: u16;
  /** Identifier of the outer tag of two; 0 where there is none. */
  outer: u16;
}

/** Goes over the tags (IEEE 802.1Q and 802.1ad) of a frame whose type is `type` and stands before `offset`; null where it is cut. */
export function skipVlans(ctx: PacketContext, type: u16, offset: u32): Network | null {
  let inner: u16 = type;
  let at: u32 = offset;
  let vlan: u16 = 0;
  let outer: u16 = 0;
  for (const _ of range(2)) {
    if (inner !== ETHERTYPE.VLAN && inner !== ETHERTYPE.QINQ) break;
    const tag = ctx.header(Vlan, at);
    if (!tag) return null;
    outer = vlan;
    vlan = tag.tag & 0xfff;
    inner = tag.type;
    at += Vlan.size;
  }
  return { type: inner, offset: at, vlan, outer };
}

const MAX_IPV4_OPTIONS = 12;

/** Offset of the IPv4 option of `type` (RFC 791) in the header at `offset`; null where there is none. */
export function findIpv4Option(ctx: PacketContext, offset: u32, type: u8): u32 | null {
  const ip = ctx.header(Ipv4, offset);
  if (!ip) return null;
  const end: u32 = offset + ip.ihl * 4;
  let at: u32 = offset + Ipv4.size;
  for (const _ of range(MAX_IPV4_OPTIONS)) {
    if (at >= end) return null;
    const first = ctx.header(OptionKind, at);
    if (!first || first.kind === 0) return null;
    if (first.kind === 1) {
      at += 1;
      continue;
    }
    const head = ctx.header(OptionHead, at);
    if (!head) return null;
    if (head.kind === type) return at;
    if (head.length < 2) return null;
    at += head.length;
  }
  return null;
}

/** Bytes of a GRE header with these flags. */
export function greLength(flags: u16): u32 {
  let length: u32 = Gre.size;
  if (flags & GRE.CHECKSUM) length += 4;
  if (flags & GRE.KEY) length += 4;
  if (flags & GRE.SEQUENCE) length += 4;
  return length;
}

/** What is in a tunnel. */
export interface Inner {
  /** The ethertype of what stands at `offset`: BRIDGED is an Ethernet frame. */
  type: u16;
  offset: u32;
  /** Network identifier or key; 0 where the tunnel has none. */
  id: u32;
}

function innerOfUdp(ctx: PacketContext, offset: u32): Inner | null {
  const udp = ctx.header(Udp, offset);
  if (!udp) return null;
  const port: u16 = udp.destination;
  const at: u32 = offset + Udp.size;
  if (port === PORT.VXLAN || port === PORT.VXLAN_LINUX) {
    const vxlan = ctx.header(Vxlan, at);
    return vxlan ? { type: ETHERTYPE.BRIDGED, offset: at + Vxlan.size, id: vxlan.vni >>> 8 } : null;
  }
  if (port === PORT.GENEVE) {
    const geneve = ctx.header(Geneve, at);
    if (!geneve) return null;
    const options: u32 = u32(geneve.options & 0x3f) * 4;
    return { type: geneve.protocol, offset: at + Geneve.size + options, id: geneve.vni >>> 8 };
  }
  if (port !== PORT.GUE) return null;
  const gue = ctx.header(Gue, at);
  if (!gue || gue.version !== 0 || gue.control !== 0) return null;
  const type: u16 = gue.protocol === PROTOCOL.IPIP ? ETHERTYPE.IPV4 : ETHERTYPE.IPV6;
  if (gue.protocol !== PROTOCOL.IPIP && gue.protocol !== PROTOCOL.IPV6) return null;
  return { type, offset: at + Gue.size + u32(gue.words) * 4, id: 0 };
}

/**
 * What is in the tunnel whose header (of IP protocol `protocol`) stands at `offset`: IPIP, IPv6 in IP, GRE, and over UDP VXLAN, Geneve and GUE
 * at their usual ports. null where it is none, or cut.
 */
export function innerOf(ctx: PacketContext, protocol: u8, offset: u32): Inner | null {
  switch (protocol) {
    case PROTOCOL.IPIP:
      return { type: ETHERTYPE.IPV4, offset, id: 0 };
    case PROTOCOL.IPV6:
      return { type: ETHERTYPE.IPV6, offset, id: 0 };
    case PROTOCOL.UDP:
      return innerOfUdp(ctx, offset);
    case PROTOCOL.GRE: {
      const gre = ctx.header(Gre, offset);
      if (!gre || (gre.flags & GRE.VERSION) !== 0) return null;
      const { flags, protocol: type } = gre;
      const key = flags & GRE.KEY ? ctx.header(Key, offset + (flags & GRE.CHECKSUM ? 8 : 4)) : null;
      return { type, offset: offset + greLength(flags), id: key ? key.id : 0 };
    }
    default:
      return null;
  }
}

const Key = struct("TunnelKey", { id: be32 });

const MAX_GENEVE_OPTIONS = 8;

/** Offset of the Geneve option of that class and type, in the header at `offset`; null where there is none. */
export function findGeneveOption(ctx: PacketContext, offset: u32, wanted: { class: u16; type: u8 }): u32 | null {
  const geneve = ctx.header(Geneve, offset);
  if (!geneve) return null;
  const end: u32 = offset + Geneve.size + u32(geneve.options & 0x3f) * 4;
  let at: u32 = offset + Geneve.size;
  for (const _ of range(MAX_GENEVE_OPTIONS)) {
    if (at >= end) return null;
    const option = ctx.header(GeneveOption, at);
    if (!option) return null;
    if (option.class === wanted.class && option.type === wanted.type) return at;
    at += GeneveOption.size + u32(option.length & 0x1f) * 4;
  }
  return null;
}

/** The first question of a DNS message. */
export interface Question {
  /** FNV-1a (64 bits) of the name's labels with their lengths, in lower case, without the final zero: `dnsNameHash`. */
  name: u64;
  type: u16;
}

const FNV_START = 0xcbf29ce484222325n;

function hashNameByte(hash: u64, byte: u8): u64 {
  const lower: u8 = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
  return (hash ^ u64(lower)) * 0x100000001b3n;
}

/** What `dnsQuestion` gives as `name` for a name as it stands in a message: labels, each behind its length; without the final zero. */
export function dnsNameHash(labels: readonly u8[]): u64 {
  let hash: u64 = FNV_START;
  for (const byte of labels) hash = hashNameByte(hash, byte);
  return hash;
}

const LONGEST_NAME = 64;
const QuestionTail = struct("DnsQuestionTail", { type: be16, class: be16 });

/** Reads the first question of the DNS message at `offset`; null where there is none, or its name has more than 64 bytes. */
export function dnsQuestion(ctx: PacketContext, offset: u32): Question | null {
  const dns = ctx.header(Dns, offset);
  if (!dns || dns.questions === 0) return null;
  let name: u64 = FNV_START;
  let at: u32 = offset + Dns.size;
  for (let count = 0; count < LONGEST_NAME; count++) {
    const byte = ctx.header(OptionKind, at);
    if (!byte) return null;
    at += 1;
    const { kind } = byte;
    if (kind === 0) {
      const tail = ctx.header(QuestionTail, at);
      return tail ? { name, type: tail.type } : null;
    }
    name = hashNameByte(name, kind);
  }
  return null;
}
