// IPv4 packets become IPv6 packets and the reverse (RFC 7915): the IP header, what ICMP says, the packet that an error quotes, every checksum.
// Not translated: IPv4 options, extension headers other than for fragments, ICMP in fragments (as there), errors about errors.
import {
  be32,
  csumDiff,
  getPrandomU32,
  l4CsumReplace,
  loop,
  percpuArray,
  skbAdjustRoom,
  skbChangeProto,
  skbChangeTail,
  skbLoadBytes,
  struct,
  array,
  u16,
  u32,
  u64,
  u8,
  xdpAdjustHead,
  i32,
  type Of,
  type PacketContext,
  type TcContext,
  type XdpContext,
} from "@skep/bpf";
import { foldChecksum, ipv4Checksum } from "@skep/bpf/checksum";
import { Ethernet, Ipv4, Ipv6, Ipv6Fragment, PROTOCOL } from "@skep/bpf/net";
import { Address } from "./maps.bpf.ts";
import { Translation } from "./nat.bpf.ts";
import { DROP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, FRAGMENT_LATER, sameAddress, type Packet } from "./packet.bpf.ts";
import { checksumOffset, mendSctp, portOffset } from "./rewrite.bpf.ts";

/** What an IP header says, whichever family's it was; `protocol` is the other family's. `offset`: as IPv6's fragment header has it. */
const Outline = struct("Outline", {
  source: Address,
  destination: Address,
  ...{ protocol: u8, tos: u8, hops: u8, isFragment: u8, offset: u16 },
  /** Bytes behind the headers that are the IP layer's own. */
  payload: u16,
  identification: u32,
});
type Outline = Of<typeof Outline>;

/** The checksum as it stands in memory. */
const Message = struct("IcmpMessage", { type: u8, code: u8, checksum: u16, rest: be32 });
type Message = Of<typeof Message>;

/** RFC 8200, 8.1. */
const Pseudo = struct("TranslationPseudo", {
  ...{ source: Address, destination: Address, length: be32, protocol: be32 },
});

/** What the packet becomes; of an error what it quotes gets these ends, the other way round, and `router` is who says it. */
export const Plan = struct("TranslationPlan", {
  source: Translation,
  destination: Translation,
  router: Address,
  outer: Outline,
  inner: Outline,
  icmp: Message,
  quoted: Message,
  /** What has been added to the sum of an error. */
  sum: u32,
  pseudo: Pseudo,
  /** Identity of who has sent it. */
  client: u32,
});
export type Plan = Of<typeof Plan>;
export const plans = percpuArray("skep_nat46x64", { value: Plan, maxEntries: 1 });

const Words4 = struct("Words4", { words: array(u32, 5) });
const Words6 = struct("Words6", { words: array(u32, 10) });
const Words2 = struct("Words2", { words: array(u32, 2) });
const Word = struct("RawWord", { value: u16 });
const Block = struct("PayloadBlock", { words: array(u32, 16) });
const BLOCK = 64;
/** For the sum of a payload. */
const blocks = percpuArray("skep_46x64_sum", { value: Block, maxEntries: 1 });

/** Offsets that were seen in a packet stay below this: the verifier wants to know. */
const OFFSETS = 0x1fff;
const FRAGMENT = 8;
const IPV6_LEAST = 1280;
/** Longer packets may not be cut: what IPv6 has not cut at its least MTU fits (RFC 7915, 5.1). */
const UNCUT = 1260;

// ---- reading ----

function otherProtocol(protocol: u8): u8 {
  if (protocol === PROTOCOL.ICMP) return PROTOCOL.ICMPV6;
  return protocol === PROTOCOL.ICMPV6 ? PROTOCOL.ICMP : protocol;
}

/** False where the headers between `at` and `transport` are not translated. */
function read(ctx: PacketContext, isIpv6: boolean, into: Outline, at: u32, transport: u32): boolean {
  if (!isIpv6) {
    const ip = ctx.header(Ipv4, at);
    if (!ip || ip.ihl !== 5) return false;
    const fragment = ip.fragment;
    into.isFragment = (fragment & 0x3fff) !== 0 ? 1 : 0;
    into.offset = ((fragment & 0x1fff) << 3) | ((fragment >>> 13) & 1);
    into.identification = ip.identification;
    into.payload = ip.length - Ipv4.size;
    into.protocol = otherProtocol(ip.protocol);
    into.tos = ip.tos;
    into.hops = ip.ttl;
    into.source = { w0: 0, w1: 0, w2: 0xffff, w3: ip.source };
    into.destination = { w0: 0, w1: 0, w2: 0xffff, w3: ip.destination };
    return true;
  }
  const ip = ctx.header(Ipv6, at);
  if (!ip) return false;
  into.tos = u8(ip.versionClassFlow >>> 20);
  into.hops = ip.hopLimit;
  into.payload = ip.length;
  const { source, destination } = ip;
  into.source = { w0: source.w0, w1: source.w1, w2: source.w2, w3: source.w3 };
  into.destination = { w0: destination.w0, w1: destination.w1, w2: destination.w2, w3: destination.w3 };
  let next: u8 = ip.nextHeader;
  into.isFragment = 0;
  let size: u32 = Ipv6.size;
  if (next === PROTOCOL.FRAGMENT) {
    const fragment = ctx.header(Ipv6Fragment, at + Ipv6.size);
    if (!fragment) return false;
    next = fragment.nextHeader;
    into.isFragment = 1;
    into.offset = fragment.offset & 0xfff9;
    into.identification = fragment.identification;
    into.payload -= FRAGMENT;
    size += FRAGMENT;
  }
  into.protocol = otherProtocol(next);
  return at + size === transport;
}

function sizeOf(isIpv6: boolean, outline: Outline): u32 {
  if (!isIpv6) return Ipv4.size;
  return outline.isFragment !== 0 ? Ipv6.size + FRAGMENT : Ipv6.size;
}

// ---- writing ----

function write6(ctx: PacketContext, outline: Outline, at: u32, source: Address, destination: Address): boolean {
  const ip = ctx.header(Ipv6, at);
  if (!ip) return false;
  ip.versionClassFlow = 0x60000000 | (u32(outline.tos) << 20);
  ip.hopLimit = outline.hops;
  ip.source = { w0: source.w0, w1: source.w1, w2: source.w2, w3: source.w3 };
  ip.destination = { w0: destination.w0, w1: destination.w1, w2: destination.w2, w3: destination.w3 };
  if (outline.isFragment === 0) {
    ip.length = outline.payload;
    ip.nextHeader = outline.protocol;
    return true;
  }
  ip.length = outline.payload + FRAGMENT;
  ip.nextHeader = PROTOCOL.FRAGMENT;
  const fragment = ctx.header(Ipv6Fragment, at + Ipv6.size);
  if (!fragment) return false;
  fragment.nextHeader = outline.protocol;
  fragment.reserved = 0;
  fragment.offset = outline.offset;
  fragment.identification = outline.identification;
  return true;
}

function write4(ctx: PacketContext, outline: Outline, at: u32, source: Address, destination: Address): boolean {
  const ip = ctx.header(Ipv4, at);
  if (!ip) return false;
  const length: u16 = outline.payload + Ipv4.size;
  ip.version = 4;
  ip.ihl = 5;
  ip.tos = outline.tos;
  ip.length = length;
  if (outline.isFragment !== 0) {
    ip.identification = u16(outline.identification);
    ip.fragment = (outline.offset >>> 3) | ((outline.offset & 1) << 13);
  } else {
    ip.identification = u16(getPrandomU32());
    ip.fragment = length > UNCUT ? 0x4000 : 0;
  }
  ip.ttl = outline.hops;
  ip.protocol = outline.protocol;
  ip.source = source.w3;
  ip.destination = destination.w3;
  ip.checksum = ipv4Checksum(ip);
  return true;
}

// ---- what ICMP says ----

/** The greatest of RFC 1191's lengths below that of the packet, where a router names none. */
function plateau(length: u32): u32 {
  if (length > 32_000) return 32_000;
  if (length > 17_914) return 17_914;
  if (length > 8166) return 8166;
  if (length > 4352) return 4352;
  if (length > 2002) return 2002;
  return length > 1492 ? 1492 : 0;
}

const NOWHERE = 255;

/** Where the field of IPv4's header stands in IPv6's (RFC 7915, figure 3). */
function pointerTo6(at: u32): u32 {
  if (at <= 1) return at;
  if (at <= 3) return 4;
  if (at === 8) return 7;
  if (at === 9) return 6;
  if (at >= 12 && at <= 15) return 8;
  return at >= 16 && at <= 19 ? 24 : NOWHERE;
}

/** The reverse (figure 6). */
function pointerTo4(at: u32): u32 {
  if (at <= 1) return at;
  if (at === 4 || at === 5) return 2;
  if (at === 6) return 9;
  if (at === 7) return 8;
  if (at >= 8 && at <= 23) return 12;
  return at >= 24 && at <= 39 ? 16 : NOWHERE;
}

function say(icmp: Message, type: u8, code: u8, rest: u32): boolean {
  icmp.type = type;
  icmp.code = code;
  icmp.rest = rest;
  return true;
}

/** RFC 7915, 4.2: false for what has no counterpart. `length`: of the IPv4 packet that an error is about. */
function toIcmp6(icmp: Message, length: u32): boolean {
  const [type, code, rest]: readonly [u8, u8, u32] = [icmp.type, icmp.code, icmp.rest];
  if (type === 8) return say(icmp, 128, 0, rest);
  if (type === 0) return say(icmp, 129, 0, rest);
  if (type === 11) return say(icmp, 3, code, 0);
  if (type === 12) {
    const pointer = code === 0 || code === 2 ? pointerTo6(rest >>> 24) : NOWHERE;
    return pointer !== NOWHERE && say(icmp, 4, 0, pointer);
  }
  if (type !== 3) return false;
  if (code === 2) return say(icmp, 4, 1, 6);
  if (code === 3) return say(icmp, 1, 4, 0);
  if (code === 4) {
    let mtu: u32 = rest & 0xffff;
    if (mtu === 0) mtu = plateau(length);
    mtu += 20;
    return say(icmp, 2, 0, mtu < IPV6_LEAST ? IPV6_LEAST : mtu);
  }
  if (code === 9 || code === 10 || code === 13 || code === 15) return say(icmp, 1, 1, 0);
  return code <= 12 && say(icmp, 1, 0, 0);
}

/** RFC 7915, 5.2. */
function toIcmp4(icmp: Message): boolean {
  const [type, code, rest]: readonly [u8, u8, u32] = [icmp.type, icmp.code, icmp.rest];
  if (type === 128) return say(icmp, 8, 0, rest);
  if (type === 129) return say(icmp, 0, 0, rest);
  if (type === 3) return say(icmp, 11, code, 0);
  if (type === 2) {
    const mtu: u32 = rest > 0xffff ? 0xffff : rest;
    return say(icmp, 3, 4, mtu > 20 ? mtu - 20 : 0);
  }
  if (type === 4) {
    if (code === 1) return say(icmp, 3, 2, 0);
    const pointer = code === 0 ? pointerTo4(rest) : NOWHERE;
    return pointer !== NOWHERE && say(icmp, 12, 0, pointer << 24);
  }
  if (type !== 1 || code > 4) return false;
  if (code === 1) return say(icmp, 3, 10, 0);
  return say(icmp, 3, code === 4 ? 3 : 1, 0);
}

// ---- checksums: sums are as the kernel has them, of words in memory ----

function pseudoSum(plan: Plan, source: Address, destination: Address, length: u32): u32 {
  const { pseudo } = plan;
  pseudo.source = source;
  pseudo.destination = destination;
  pseudo.length = length;
  pseudo.protocol = PROTOCOL.ICMPV6;
  return u32(csumDiff(null, pseudo, 0));
}

/** What the ends of the packet have more than before. */
function endsChange(plan: Plan): u32 {
  const half = u32(csumDiff(plan.outer.source, plan.source.address, 0));
  return u32(csumDiff(plan.outer.destination, plan.destination.address, half));
}

/** ICMPv6's checksum covers a pseudo header, ICMP's none: what is added to the sum. */
function icmpChange(packet: Packet, plan: Plan, sum: u32, length: u32): u32 {
  const isIpv6 = packet.isIpv6 !== 0;
  const from = plan.router;
  if (!isIpv6)
    return added(
      sum,
      pseudoSum(plan, packet.related !== 0 ? from : plan.source.address, plan.destination.address, length),
    );
  return added(sum, ~pseudoSum(plan, plan.outer.source, plan.outer.destination, u32(plan.outer.payload)));
}

function added(sum: u32, more: u32): u32 {
  const total: u32 = sum + more;
  return total < more ? total + 1 : total;
}

function mended(checksum: u16, by: u32): u16 {
  return ~foldChecksum(added(u32(u16(~checksum)), by));
}

function isIcmp(protocol: u8): boolean {
  return protocol === PROTOCOL.ICMP || protocol === PROTOCOL.ICMPV6;
}

// ---- the transport header, while it stands where it stood ----

const SOURCE = 0;
const DESTINATION = 1;

/** 0 or a drop code. */
function writePort(ctx: PacketContext, packet: Packet, end: u8, port: u16): u32 {
  const offset: u32 = (u32(packet.transport) & OFFSETS) + portOffset(packet.protocol, end);
  if (packet.protocol === PROTOCOL.SCTP) {
    const wrong = mendSctp(ctx, packet, offset, port);
    if (wrong !== 0) return wrong;
  }
  const at = ctx.header(Word, offset);
  if (!at) return DROP.CT_INVALID_HEADER;
  at.value = swapped(port);
  return 0;
}

function swapped(value: u16): u16 {
  return (value << 8) | (value >> 8);
}

/** An echo: another type, another identifier where the sender's is taken. */
function changeEcho(ctx: PacketContext, packet: Packet, plan: Plan): boolean {
  const icmp = ctx.header(Message, u32(packet.transport) & OFFSETS);
  if (!icmp) return false;
  const { icmp: kept } = plan;
  kept.type = icmp.type;
  kept.code = icmp.code;
  kept.checksum = 0;
  kept.rest = icmp.rest;
  const before = u32(csumDiff(kept, null, 0));
  if (!(packet.isIpv6 !== 0 ? toIcmp4(kept) : toIcmp6(kept, 0))) return false;
  const isRequest = kept.type === 8 || kept.type === 128;
  const identifier: u16 = isRequest ? plan.source.port : plan.destination.port;
  kept.rest = (u32(identifier) << 16) | (kept.rest & 0xffff);
  const sum = icmpChange(packet, plan, u32(csumDiff(null, kept, before)), u32(plan.outer.payload));
  kept.checksum = mended(icmp.checksum, sum);
  icmp.type = kept.type;
  icmp.code = kept.code;
  icmp.checksum = kept.checksum;
  icmp.rest = kept.rest;
  return true;
}

/** What an error quotes of a transport header: its ends are the packet's, the other way round. Gives what that adds to the error's sum. */
function changeQuoted(ctx: PacketContext, packet: Packet, plan: Plan): u32 {
  const protocol = packet.innerProtocol;
  const at: u32 = u32(packet.innerTransport) & OFFSETS;
  const { quoted } = plan;
  const start = ctx.header(Words2, at);
  if (!start) return 0;
  let sum = u32(csumDiff(start, null, 0));
  if (isIcmp(protocol)) {
    const echo = ctx.header(Message, at);
    if (!echo) return 0;
    quoted.type = echo.type;
    quoted.code = echo.code;
    quoted.checksum = 0;
    quoted.rest = echo.rest;
    let change = u32(csumDiff(quoted, null, 0));
    // Of what is no echo the error says nothing: it stays as it is.
    if (packet.isIpv6 !== 0) toIcmp4(quoted);
    else toIcmp6(quoted, 0);
    const isRequest = quoted.type === 8 || quoted.type === 128;
    const identifier: u16 = isRequest ? plan.destination.port : plan.source.port;
    quoted.rest = (u32(identifier) << 16) | (quoted.rest & 0xffff);
    change = u32(csumDiff(null, quoted, change));
    const length: u32 = plan.inner.payload;
    if (packet.isIpv6 !== 0)
      change = added(change, ~pseudoSum(plan, plan.inner.source, plan.inner.destination, length));
    else change = added(change, pseudoSum(plan, plan.destination.address, plan.source.address, length));
    echo.type = quoted.type;
    echo.code = quoted.code;
    echo.rest = quoted.rest;
    echo.checksum = mended(echo.checksum, change);
    return u32(csumDiff(null, start, sum));
  }
  const from = ctx.header(Word, at);
  const to = ctx.header(Word, at + 2);
  if (!from || !to) return 0;
  let change = u32(csumDiff(start, null, 0));
  from.value = swapped(plan.destination.port);
  to.value = swapped(plan.source.port);
  change = u32(csumDiff(null, start, change));
  change = u32(csumDiff(plan.inner.source, plan.destination.address, change));
  change = u32(csumDiff(plan.inner.destination, plan.source.address, change));
  if (protocol === PROTOCOL.UDP) {
    const checksum = ctx.header(Word, at + 6);
    if (checksum && checksum.value !== 0) {
      const after = mended(checksum.value, change);
      checksum.value = after === 0 ? 0xffff : after;
    }
  }
  sum = u32(csumDiff(null, start, sum));
  if (protocol !== PROTOCOL.TCP) return sum;
  // An error need not quote more than eight bytes of it.
  const checksum = ctx.header(Word, at + 16);
  if (!checksum) return sum;
  const before: u16 = checksum.value;
  const after = mended(before, change);
  checksum.value = after;
  return added(sum, u32(u16(~before)) + u32(after));
}

/** The error, but for its IP headers: what it will say stands in the plan. */
function changeError(ctx: PacketContext, packet: Packet, plan: Plan): boolean {
  const isIpv6 = packet.isIpv6 !== 0;
  const { icmp } = plan;
  const error = ctx.header(Message, u32(packet.transport) & OFFSETS);
  if (!error) return false;
  icmp.type = error.type;
  icmp.code = error.code;
  icmp.checksum = 0;
  icmp.rest = error.rest;
  const checksum: u16 = error.checksum;
  let sum = u32(csumDiff(icmp, null, 0));
  if (!(isIpv6 ? toIcmp4(icmp) : toIcmp6(icmp, u32(plan.inner.payload) + Ipv4.size))) return false;
  sum = u32(csumDiff(null, icmp, sum));
  const at: u32 = u32(packet.innerIp) & OFFSETS;
  // The quoted header as it was; what takes its place is added where it stands.
  if (isIpv6) {
    const ip = ctx.header(Words6, at);
    if (!ip) return false;
    sum = u32(csumDiff(ip, null, sum));
    if (plan.inner.isFragment !== 0) {
      const fragment = ctx.header(Words2, at + Ipv6.size);
      if (!fragment) return false;
      sum = u32(csumDiff(fragment, null, sum));
    }
  } else {
    const ip = ctx.header(Words4, at);
    if (!ip) return false;
    sum = u32(csumDiff(ip, null, sum));
  }
  sum = added(sum, changeQuoted(ctx, packet, plan));
  icmp.checksum = checksum;
  const length: u32 = u32(plan.outer.payload) + growthOf(isIpv6, plan.inner);
  plan.sum = icmpChange(packet, plan, sum, length);
  return true;
}

/** How much longer the header becomes: less is a large number. */
function growthOf(isIpv6: boolean, outline: Outline): u32 {
  return sizeOf(!isIpv6, outline) - sizeOf(isIpv6, outline);
}

/** The error's header and the IP header that it quotes. */
function writeError(ctx: PacketContext, packet: Packet, plan: Plan): boolean {
  const isIpv6 = packet.isIpv6 === 0;
  const at: u32 = Ethernet.size + (isIpv6 ? Ipv6.size : Ipv4.size);
  const { inner, icmp } = plan;
  let sum: u32 = plan.sum;
  if (isIpv6) {
    if (!write6(ctx, inner, at + Message.size, plan.destination.address, plan.source.address)) return false;
    const ip = ctx.header(Words6, at + Message.size);
    if (!ip) return false;
    sum = u32(csumDiff(null, ip, sum));
    if (inner.isFragment !== 0) {
      const fragment = ctx.header(Words2, at + Message.size + Ipv6.size);
      if (!fragment) return false;
      sum = u32(csumDiff(null, fragment, sum));
    }
  } else {
    if (!write4(ctx, inner, at + Message.size, plan.destination.address, plan.source.address)) return false;
    const ip = ctx.header(Words4, at + Message.size);
    if (!ip) return false;
    sum = u32(csumDiff(null, ip, sum));
  }
  const error = ctx.header(Message, at);
  if (!error) return false;
  error.type = icmp.type;
  error.code = icmp.code;
  error.rest = icmp.rest;
  error.checksum = mended(icmp.checksum, sum);
  return true;
}

// ---- the whole ----

function failed(packet: Packet): u32 {
  return packet.isIpv6 !== 0 ? DROP.NAT64 : DROP.NAT46;
}

/** What can be said before a byte is changed. 0 or a drop code. */
function look(ctx: PacketContext, packet: Packet, plan: Plan): u32 {
  const isIpv6 = packet.isIpv6 !== 0;
  if (!read(ctx, isIpv6, plan.outer, Ethernet.size, u32(packet.transport))) return failed(packet);
  if (plan.outer.hops <= 1) return DROP.TTL_EXCEEDED;
  plan.outer.hops -= 1;
  if (isIcmp(packet.protocol) && packet.fragment !== 0) return failed(packet);
  if (packet.related === 0) return 0;
  return read(ctx, isIpv6, plan.inner, u32(packet.innerIp), u32(packet.innerTransport)) ? 0 : failed(packet);
}

/** Everything behind the IP header but TCP's and UDP's checksum. 0 or a drop code. */
function changeTransport(ctx: PacketContext, packet: Packet, plan: Plan): u32 {
  if (packet.related !== 0) return changeError(ctx, packet, plan) ? 0 : failed(packet);
  if (isIcmp(packet.protocol)) return changeEcho(ctx, packet, plan) ? 0 : failed(packet);
  if (packet.fragment === FRAGMENT_LATER) return 0;
  const refused = writePort(ctx, packet, SOURCE, plan.source.port);
  return refused !== 0 ? refused : writePort(ctx, packet, DESTINATION, plan.destination.port);
}

/** How many bytes are to come in behind Ethernet's header, or go (a large number). */
function growth(packet: Packet, plan: Plan): u32 {
  const isIpv6 = packet.isIpv6 !== 0;
  const outer = growthOf(isIpv6, plan.outer);
  return packet.related !== 0 ? outer + growthOf(isIpv6, plan.inner) : outer;
}

/** The room is as it has to be. 0 or a drop code. */
function writeHead(ctx: PacketContext, packet: Packet, plan: Plan): u32 {
  const isIpv6 = packet.isIpv6 === 0;
  const ethernet = ctx.header(Ethernet, 0);
  if (!ethernet) return failed(packet);
  ethernet.type = isIpv6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4;
  const { outer } = plan;
  if (packet.related !== 0) {
    outer.payload += u16(growthOf(packet.isIpv6 !== 0, plan.inner));
    if (!writeError(ctx, packet, plan)) return failed(packet);
  }
  const from = packet.related !== 0 ? plan.router : plan.source.address;
  const isWritten = isIpv6
    ? write6(ctx, outer, Ethernet.size, from, plan.destination.address)
    : write4(ctx, outer, Ethernet.size, from, plan.destination.address);
  return isWritten ? 0 : failed(packet);
}

const PSEUDO_HEADER = 0x10n;
const MANGLED_ZERO = 0x20n;
const NET = 0;
const FIXED_GSO = 1n;

/** IPv6 has no UDP packet without a checksum (RFC 7915, 4.5). Behind the packet there may be anything: it is cut off, and zeros fill the last block. */
function sumUdp(ctx: TcContext, packet: Packet, plan: Plan): boolean {
  const start: u32 = u32(packet.transport);
  const length: u32 = plan.outer.payload;
  const end: u32 = start + length;
  const block = blocks.get(0);
  if (!block || packet.fragment !== 0 || ctx.gsoSize !== 0 || end > ctx.length) return false;
  const count: u32 = (length + BLOCK - 1) >>> 6;
  if (skbChangeTail(ctx, end, 0n) < 0n || skbChangeTail(ctx, start + count * BLOCK, 0n) < 0n) return false;
  const { pseudo } = plan;
  pseudo.source = plan.source.address;
  pseudo.destination = plan.destination.address;
  pseudo.length = length;
  pseudo.protocol = PROTOCOL.UDP;
  let sum = u32(csumDiff(null, pseudo, 0));
  let isRead = true;
  loop(1024, (at) => {
    if (at >= count) return true;
    isRead = skbLoadBytes(ctx, start + at * BLOCK, block) === 0n;
    sum = u32(csumDiff(null, block, sum));
    return !isRead;
  });
  if (!isRead || skbChangeTail(ctx, end, 0n) < 0n) return false;
  const checksum = ctx.header(Word, (start & OFFSETS) + 6);
  if (!checksum) return false;
  const after: u16 = ~foldChecksum(sum);
  checksum.value = after === 0 ? 0xffff : after;
  return true;
}

/** TCP's and UDP's checksum where it may still be the card's to fill in; ports are written already. 0 or a drop code. */
function mendTc(ctx: TcContext, packet: Packet, plan: Plan, ports: u32): u32 {
  const at = checksumOffset(packet.protocol);
  if (packet.fragment === FRAGMENT_LATER || at === 0 || isIcmp(packet.protocol)) return 0;
  const isUdp = packet.protocol === PROTOCOL.UDP;
  const offset: u32 = (u32(packet.transport) & OFFSETS) + at;
  if (isUdp && packet.isIpv6 === 0) {
    const checksum = ctx.header(Word, offset);
    if (!checksum) return DROP.CT_INVALID_HEADER;
    if (checksum.value === 0) return sumUdp(ctx, packet, plan) ? 0 : DROP.NAT46;
  }
  const mangled = isUdp ? MANGLED_ZERO : 0n;
  const change = endsChange(plan);
  if (l4CsumReplace(ctx, offset, 0n, u64(change), PSEUDO_HEADER | mangled) < 0n) return DROP.CHECKSUM_L4;
  const now = portsOf(plan);
  if (ports === now) return 0;
  return l4CsumReplace(ctx, offset, u64(ports), u64(now), mangled | 4n) < 0n ? DROP.CHECKSUM_L4 : 0;
}

/** As they stand in memory. */
function portsOf(plan: Plan): u32 {
  return (u32(swapped(plan.destination.port)) << 16) | u32(swapped(plan.source.port));
}

const Ports = struct("RawPorts", { both: u32 });
function portsBefore(ctx: PacketContext, packet: Packet): u32 {
  const ports = ctx.header(Ports, u32(packet.transport) & OFFSETS);
  return ports ? ports.both : 0;
}

function note(packet: Packet, plan: Plan): void {
  packet.isIpv6 = packet.isIpv6 !== 0 ? 0 : 1;
  packet.source = plan.source.address;
  packet.destination = plan.destination.address;
}

/**
 * The packet becomes what the plan's ends say, in their family. Of `packet` it asks what it is and where its parts stand, not its ends. 0 or a drop code: then the packet is
 * to be dropped.
 */
export function translateTc(ctx: TcContext, packet: Packet, plan: Plan): u32 {
  const refused = look(ctx, packet, plan);
  if (refused !== 0) return refused;
  const ports = portsBefore(ctx, packet);
  const wrong = changeTransport(ctx, packet, plan);
  if (wrong !== 0) return wrong;
  const mendedBad = packet.related === 0 ? mendTc(ctx, packet, plan, ports) : 0;
  if (mendedBad !== 0) return mendedBad;
  const more = growth(packet, plan);
  const isIpv6 = packet.isIpv6 !== 0;
  if (skbChangeProto(ctx, isIpv6 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6, 0n) < 0n) return failed(packet);
  const rest: u32 = isIpv6 ? more + 20 : more - 20;
  if (rest !== 0 && skbAdjustRoom(ctx, i32(rest), NET, FIXED_GSO) < 0n) return failed(packet);
  const bad = writeHead(ctx, packet, plan);
  if (bad === 0) note(packet, plan);
  return bad;
}

/** Not so for UDP without a checksum, which IPv6 does not know. */
export function isSummed(ctx: PacketContext, packet: Packet): boolean {
  if (packet.protocol !== PROTOCOL.UDP) return true;
  const checksum = ctx.header(Word, (u32(packet.transport) & OFFSETS) + 6);
  return checksum !== null && checksum.value !== 0;
}

/** As `translateTc`, where every checksum is in the packet (`isSummed`). */
export function translateXdp(ctx: XdpContext, packet: Packet, plan: Plan): u32 {
  const refused = look(ctx, packet, plan);
  if (refused !== 0) return refused;
  const at: u32 = (u32(packet.transport) & OFFSETS) + checksumOffset(packet.protocol);
  if (packet.protocol === PROTOCOL.TCP || packet.protocol === PROTOCOL.UDP) {
    const checksum = ctx.header(Word, at);
    if (!checksum) return DROP.CT_INVALID_HEADER;
    const ends = endsChange(plan);
    const after = mended(checksum.value, added(added(ends, portsOf(plan)), ~portsBefore(ctx, packet)));
    checksum.value = packet.protocol === PROTOCOL.UDP && after === 0 ? 0xffff : after;
  }
  const wrong = changeTransport(ctx, packet, plan);
  if (wrong !== 0) return wrong;
  if (xdpAdjustHead(ctx, -i32(growth(packet, plan))) !== 0) return failed(packet);
  const bad = writeHead(ctx, packet, plan);
  if (bad === 0) note(packet, plan);
  return bad;
}
