// Source NAT for one address, and back: the checksums change by what changes in the packet (RFC 1624).
import {
  be16,
  be32,
  config,
  l3CsumReplace,
  l4CsumReplace,
  lruHash,
  skbStoreBytes,
  struct,
  tc,
  TC,
  u64,
  type TcContext,
} from "@skep/bpf";
import { Ethernet, Ipv4, PROTOCOL, Udp } from "@skep/bpf/net";

export const inside = config("inside", be32, 0x0a000002);
export const outside = config("outside", be32, 0xc6336401);

const Flow = struct("Flow", { peer: be32, port: be16, peerPort: be16 });
export const flows = lruHash("flows", { key: Flow, value: u64, maxEntries: 1024 });
const Word = struct("Word", { value: be32 });

const IP = 14;
const SOURCE = IP + 12;
const DESTINATION = IP + 16;
const PSEUDO_HEADER = 0x10n;
const MANGLED_ZERO = 0x20n;

/** Writes an address and mends both checksums. */
function replace(ctx: TcContext, offset: number, from: number, to: number): boolean {
  const [before, after] = [hton(from), hton(to)];
  l4CsumReplace(ctx, IP + Ipv4.size + 6, before, after, PSEUDO_HEADER | MANGLED_ZERO | 4n);
  l3CsumReplace(ctx, IP + 10, before, after, 4n);
  return skbStoreBytes(ctx, offset, { ...Word.zero(), value: to }, 0n) === 0n;
}

/** The helpers want words as they are in memory. */
function hton(value: number): u64 {
  const swapped = ((value & 0xff) << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24);
  return u64(swapped);
}

export const out = tc("out", (ctx) => {
  const ip = ctx.header(Ipv4, IP);
  if (!ip || ip.ihl !== 5 || ip.protocol !== PROTOCOL.UDP || ip.source !== inside.value) return TC.OK;
  const udp = ctx.header(Udp, IP + Ipv4.size);
  if (!udp) return TC.OK;
  flows.set({ peer: ip.destination, port: udp.source, peerPort: udp.destination }, 0n);
  return replace(ctx, SOURCE, inside.value, outside.value) ? TC.OK : TC.SHOT;
});

export const back = tc("back", (ctx) => {
  const ip = ctx.header(Ipv4, Ethernet.size);
  if (!ip || ip.ihl !== 5 || ip.protocol !== PROTOCOL.UDP || ip.destination !== outside.value) return TC.OK;
  const udp = ctx.header(Udp, IP + Ipv4.size);
  if (!udp) return TC.OK;
  const replies = flows.ref({ peer: ip.source, port: udp.destination, peerPort: udp.source });
  if (!replies) return TC.SHOT;
  replies.value += 1n;
  return replace(ctx, DESTINATION, outside.value, inside.value) ? TC.OK : TC.SHOT;
});
