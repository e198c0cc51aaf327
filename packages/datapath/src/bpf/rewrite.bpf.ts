// Writing another address and port into a packet, with every checksum that covers them: also into what an ICMP error quotes.
import {
  be16,
  csumDiff,
  csumUpdate,
  l4CsumReplace,
  struct,
  u16,
  u32,
  u64,
  u8,
  type Of,
  type PacketContext,
  type TcContext,
  type XdpContext,
} from "@skep/bpf";
import { replaceLong, replaceWord } from "@skep/bpf/checksum";
import { Ethernet, Ipv4, Ipv6, Ipv6Address, PROTOCOL, Sctp } from "@skep/bpf/net";
import { crc32cChange } from "./crc.bpf.ts";
import type { Address } from "./maps.bpf.ts";
import type { Translation } from "./nat.bpf.ts";
import { DROP, FRAGMENT_LATER, type Packet } from "./packet.bpf.ts";

/** Which end of the packet is replaced. */
const SOURCE = 0;
const DESTINATION = 1;

const Word = struct("Word", { value: be16 });

/** Where the checksum stands in the transport header; 0 where it has none that is an Internet checksum. */
export function checksumOffset(protocol: u8): u32 {
  switch (protocol) {
    case PROTOCOL.TCP:
      return 16;
    case PROTOCOL.UDP:
      return 6;
    case PROTOCOL.ICMP:
    case PROTOCOL.ICMPV6:
      return 2;
    default:
      return 0;
  }
}

/** Where the port of that end stands in the transport header: of an echo its identifier. */
export function portOffset(protocol: u8, end: u8): u32 {
  if (protocol === PROTOCOL.ICMP || protocol === PROTOCOL.ICMPV6) return 4;
  return end === SOURCE ? 0 : 2;
}

/** The checksum of all but ICMP covers the addresses. */
function coversAddresses(protocol: u8): boolean {
  return protocol !== PROTOCOL.ICMP;
}

function store(into: Of<typeof Ipv6Address>, address: Address): void {
  into.w0 = address.w0;
  into.w1 = address.w1;
  into.w2 = address.w2;
  into.w3 = address.w3;
}

/** The checksum after one address has taken the place of another. */
function replaceAddress(checksum: u16, from: Address, to: Address): u16 {
  let changed = replaceLong(checksum, from.w3, to.w3);
  if (from.w2 !== to.w2) changed = replaceLong(changed, from.w2, to.w2);
  if (from.w1 !== to.w1) changed = replaceLong(changed, from.w1, to.w1);
  if (from.w0 !== to.w0) changed = replaceLong(changed, from.w0, to.w0);
  return changed;
}

/** The address in the IP header at `offset`, and that header's own checksum. 0 or a drop code. */
function writeAddress(ctx: PacketContext, packet: Packet, offset: u32, end: u8, to: Address): u32 {
  if (packet.isIpv6 !== 0) {
    const ip = ctx.header(Ipv6, offset);
    if (!ip) return DROP.INVALID_PACKET;
    store(end === SOURCE ? ip.source : ip.destination, to);
    return 0;
  }
  const ip = ctx.header(Ipv4, offset);
  if (!ip) return DROP.INVALID_PACKET;
  if (end === SOURCE) {
    ip.checksum = replaceLong(ip.checksum, ip.source, to.w3);
    ip.source = to.w3;
  } else {
    ip.checksum = replaceLong(ip.checksum, ip.destination, to.w3);
    ip.destination = to.w3;
  }
  return 0;
}

/** Offsets that were seen in a packet stay below this: the verifier wants to know. */
const OFFSETS = 0x1fff;

/** The checksum of a UDP packet that comes out as 0 is sent as 0xffff (RFC 768). */
function sent(checksum: u16, protocol: u8): u16 {
  return protocol === PROTOCOL.UDP && checksum === 0 ? 0xffff : checksum;
}

/**
 * The packet that an ICMP error quotes has its other end replaced. What changes in it changes the error's own checksum; the inner IPv4 header's
 * does not: its checksum takes up what its address brings. 0 or a drop code.
 */
function rewriteQuoted(ctx: PacketContext, packet: Packet, end: u8, to: Translation): u32 {
  const protocol = packet.innerProtocol;
  const from = end === SOURCE ? packet.innerSource : packet.innerDestination;
  const port = end === SOURCE ? packet.innerSourcePort : packet.innerDestinationPort;
  const error = ctx.header(Word, (u32(packet.transport) & OFFSETS) + 2);
  if (!error) return DROP.CT_INVALID_HEADER;
  let checksum: u16 = error.value;
  if (packet.isIpv6 !== 0) checksum = replaceAddress(checksum, from, to.address);
  const invalid = writeAddress(ctx, packet, u32(packet.innerIp) & OFFSETS, end, to.address);
  if (invalid !== 0) return invalid;
  const transport: u32 = u32(packet.innerTransport) & OFFSETS;
  const quoted = ctx.header(Word, transport + portOffset(protocol, end));
  if (!quoted) return DROP.CT_INVALID_HEADER;
  quoted.value = to.port;
  checksum = replaceWord(checksum, port, to.port);
  const at = checksumOffset(protocol);
  // An error need not quote more than eight bytes of the transport header.
  const inner = at === 0 ? null : ctx.header(Word, transport + at);
  if (inner) {
    const before: u16 = inner.value;
    if (protocol !== PROTOCOL.UDP || before !== 0) {
      let after = replaceWord(before, port, to.port);
      if (coversAddresses(protocol)) after = replaceAddress(after, from, to.address);
      after = sent(after, protocol);
      inner.value = after;
      checksum = replaceWord(checksum, before, after);
    }
  }
  error.value = checksum;
  return 0;
}

/** Where the IP packet ends: behind it a frame may be filled up. 0 where there is none. */
function endOfPacket(ctx: PacketContext, packet: Packet): u32 {
  if (packet.isIpv6 !== 0) {
    const ip = ctx.header(Ipv6, Ethernet.size);
    return ip ? Ethernet.size + Ipv6.size + u32(ip.length) : 0;
  }
  const ip = ctx.header(Ipv4, Ethernet.size);
  return ip ? Ethernet.size + u32(ip.length) : 0;
}

/** SCTP's checksum covers the ports, and no address; of a fragment it covers what is not here. 0 or a drop code. */
export function mendSctp(ctx: PacketContext, packet: Packet, offset: u32, to: u16): u32 {
  const end = endOfPacket(ctx, packet);
  const port = ctx.header(Word, offset);
  const sctp = ctx.header(Sctp, u32(packet.transport) & OFFSETS);
  if (!port || !sctp || end < offset + 2) return DROP.CT_INVALID_HEADER;
  if (port.value === to) return 0;
  if (packet.fragment !== 0) return DROP.FRAGMENTS_UNSUPPORTED;
  sctp.checksum ^= crc32cChange(u32(port.value ^ to), end - offset - 2);
  return 0;
}

/** Everything but the checksum of the outer transport header. 0 or a drop code. */
function rewriteHeaders(ctx: PacketContext, packet: Packet, end: u8, to: Translation): u32 {
  if (packet.related !== 0) {
    const quoted = rewriteQuoted(ctx, packet, end === SOURCE ? DESTINATION : SOURCE, to);
    if (quoted !== 0) return quoted;
  } else if (packet.fragment !== FRAGMENT_LATER) {
    const offset: u32 = (u32(packet.transport) & OFFSETS) + portOffset(packet.protocol, end);
    if (packet.protocol === PROTOCOL.SCTP) {
      const wrong = mendSctp(ctx, packet, offset, to.port);
      if (wrong !== 0) return wrong;
    }
    const port = ctx.header(Word, offset);
    if (!port) return DROP.CT_INVALID_HEADER;
    port.value = to.port;
  }
  return writeAddress(ctx, packet, Ethernet.size, end, to.address);
}

/** The packet is what it was made. */
function note(packet: Packet, end: u8, to: Translation): void {
  if (end === SOURCE) {
    packet.source = to.address;
    if (packet.related === 0) packet.sourcePort = to.port;
  } else {
    packet.destination = to.address;
    if (packet.related === 0) packet.destinationPort = to.port;
  }
}

const PSEUDO_HEADER = 0x10n;
const MANGLED_ZERO = 0x20n;
/** BPF_F_IPV6, since Linux 6.16: what the hardware has summed stays right where no IP checksum takes up the address. */
const IPV6 = 0x80n;

/** As the helper wants a word: as it is in memory. */
function swapped(value: u16): u64 {
  return u64(((u32(value) & 0xff) << 8) | (u32(value) >>> 8));
}

/** The transport checksum where it may still be the card's to fill in: the helper knows. 0 or a drop code. */
function mendTc(ctx: TcContext, packet: Packet, end: u8, to: Translation): u32 {
  const protocol = packet.protocol;
  const at = checksumOffset(protocol);
  const from = end === SOURCE ? packet.source : packet.destination;
  if (packet.fragment === FRAGMENT_LATER || at === 0) {
    // No checksum takes the address up: what the receiver has summed (CHECKSUM_COMPLETE) changes with it.
    if (packet.isIpv6 !== 0) csumUpdate(ctx, u32(csumDiff(from, to.address, 0)));
    return 0;
  }
  const offset: u32 = (u32(packet.transport) & OFFSETS) + at;
  const mangled = protocol === PROTOCOL.UDP ? MANGLED_ZERO : 0n;
  if (coversAddresses(protocol)) {
    const difference = u64(csumDiff(from, to.address, 0));
    const flags = PSEUDO_HEADER | mangled;
    const mended = packet.isIpv6 !== 0 && l4CsumReplace(ctx, offset, 0n, difference, flags | IPV6) === 0n;
    if (!mended && l4CsumReplace(ctx, offset, 0n, difference, flags) < 0n) return DROP.CHECKSUM_L4;
  }
  const port = end === SOURCE ? packet.sourcePort : packet.destinationPort;
  if (packet.related !== 0 || port === to.port) return 0;
  return l4CsumReplace(ctx, offset, swapped(port), swapped(to.port), mangled | 2n) < 0n ? DROP.CHECKSUM_L4 : 0;
}

function mendXdp(ctx: XdpContext, packet: Packet, end: u8, to: Translation): u32 {
  const protocol = packet.protocol;
  const at = checksumOffset(protocol);
  if (packet.fragment === FRAGMENT_LATER || at === 0) return 0;
  const checksum = ctx.header(Word, (u32(packet.transport) & OFFSETS) + at);
  if (!checksum) return DROP.CT_INVALID_HEADER;
  let after: u16 = checksum.value;
  if (protocol === PROTOCOL.UDP && after === 0) return 0;
  if (coversAddresses(protocol))
    after = replaceAddress(after, end === SOURCE ? packet.source : packet.destination, to.address);
  if (packet.related === 0)
    after = replaceWord(after, end === SOURCE ? packet.sourcePort : packet.destinationPort, to.port);
  checksum.value = sent(after, protocol);
  return 0;
}

function rewriteTc(ctx: TcContext, packet: Packet, end: u8, to: Translation): u32 {
  const refused = rewriteHeaders(ctx, packet, end, to);
  if (refused !== 0) return refused;
  const wrong = mendTc(ctx, packet, end, to);
  if (wrong === 0) note(packet, end, to);
  return wrong;
}

function rewriteXdp(ctx: XdpContext, packet: Packet, end: u8, to: Translation): u32 {
  const refused = rewriteHeaders(ctx, packet, end, to);
  if (refused !== 0) return refused;
  const wrong = mendXdp(ctx, packet, end, to);
  if (wrong === 0) note(packet, end, to);
  return wrong;
}

/**
 * Another source address and port, or another destination's: in the packet (whose headers move: look at them anew) and in `packet`. Of an ICMP
 * error the packet that it quotes has its other end replaced. 0 or a drop code.
 */
export function rewriteSource(ctx: TcContext, packet: Packet, to: Translation): u32 {
  return rewriteTc(ctx, packet, SOURCE, to);
}
export function rewriteDestination(ctx: TcContext, packet: Packet, to: Translation): u32 {
  return rewriteTc(ctx, packet, DESTINATION, to);
}

/** Only what the error quotes has its destination replaced: the error itself stays its sender's. 0 or a drop code. */
export function rewriteQuotedDestination(ctx: PacketContext, packet: Packet, to: Translation): u32 {
  return rewriteQuoted(ctx, packet, DESTINATION, to);
}

/** The same in XDP, where every checksum is in the packet. */
export function rewriteSourceXdp(ctx: XdpContext, packet: Packet, to: Translation): u32 {
  return rewriteXdp(ctx, packet, SOURCE, to);
}
export function rewriteDestinationXdp(ctx: XdpContext, packet: Packet, to: Translation): u32 {
  return rewriteXdp(ctx, packet, DESTINATION, to);
}
