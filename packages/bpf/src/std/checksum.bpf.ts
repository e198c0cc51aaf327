// The Internet checksum (RFC 1071) and its incremental change (RFC 1624). Words are 16 bits in host order, as fields are read.
import { u16, u32, u8, type Of } from "@skep/bpf";
import { Ipv4, Ipv6Address } from "../net.bpf.ts";

/** The sum of 16-bit words folded to one. */
export function foldChecksum(sum: u32): u16 {
  let folded: u32 = (sum & 0xffff) + (sum >> 16);
  folded = (folded & 0xffff) + (folded >> 16);
  return u16(folded);
}

/** The checksum of bytes in network order (RFC 1071), of a number known at compile time and at most 65,536. */
export function internetChecksum(bytes: readonly u8[]): u16 {
  let sum: u32 = 0;
  let shift: u32 = 8;
  for (const byte of bytes) {
    sum += u32(byte) << shift;
    shift = 8 - shift;
  }
  return ~foldChecksum(sum);
}

/** The checksum after one word has changed: HC' = ~(~HC + ~m + m'). */
export function replaceWord(checksum: u16, from: u16, to: u16): u16 {
  const sum: u32 = u32(~checksum) + u32(~from) + u32(to);
  return ~foldChecksum(sum);
}

/** The checksum after a 32-bit field has changed. */
export function replaceLong(checksum: u16, from: u32, to: u32): u16 {
  const sum: u32 = u32(~checksum) + u32(u16(~(from >> 16))) + u32(u16(~from)) + u32(u16(to >> 16)) + u32(u16(to));
  return ~foldChecksum(sum);
}

/** The checksum after an IPv6 address has changed: of TCP, UDP and ICMPv6, whose pseudo header holds it. */
export function replaceIpv6Address(checksum: u16, from: Of<typeof Ipv6Address>, to: Of<typeof Ipv6Address>): u16 {
  let sum: u16 = replaceLong(checksum, from.w0, to.w0);
  sum = replaceLong(sum, from.w1, to.w1);
  sum = replaceLong(sum, from.w2, to.w2);
  return replaceLong(sum, from.w3, to.w3);
}

/** UDP's rule (RFC 768): 0 is no checksum, which stays none; `changed` is what it became, which is sent as 0xffff where it is 0. */
export function udpChecksum(before: u16, changed: u16): u16 {
  if (before === 0) return 0;
  return changed === 0 ? 0xffff : changed;
}

/** The checksum that belongs into a header without options; what stands there now does not count. */
export function ipv4Checksum(ip: Of<typeof Ipv4>): u16 {
  let sum: u32 = u32((ip.version << 4) | ip.ihl) << 8;
  sum += ip.tos;
  sum += ip.length;
  sum += ip.identification;
  sum += ip.fragment;
  sum += (u32(ip.ttl) << 8) | ip.protocol;
  sum += ip.source >> 16;
  sum += ip.source & 0xffff;
  sum += ip.destination >> 16;
  sum += ip.destination & 0xffff;
  return ~foldChecksum(sum);
}

/** One hop less, and the checksum mended. */
export function decrementTtl(ip: Of<typeof Ipv4>): void {
  const before: u16 = (u16(ip.ttl) << 8) | ip.protocol;
  ip.ttl -= 1;
  const after: u16 = (u16(ip.ttl) << 8) | ip.protocol;
  ip.checksum = replaceWord(ip.checksum, before, after);
}
