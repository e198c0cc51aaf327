// Headers of variable length: IPv6 extensions, TCP options.
import { range, struct, u32, u8, type PacketContext } from "@skep/bpf";
import { Ipv6, Ipv6Fragment, Ipv6Option, PROTOCOL, Tcp } from "../net.bpf.ts";

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
  let fragment = false;
  for (const _ of range(MAX_EXTENSIONS)) {
    if (protocol === PROTOCOL.FRAGMENT) {
      const part = ctx.header(Ipv6Fragment, at);
      if (!part) return null;
      if (part.offset >> 3 !== 0) fragment = true;
      protocol = part.nextHeader;
      at += Ipv6Fragment.size;
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
      return { protocol, offset: at, fragment };
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
