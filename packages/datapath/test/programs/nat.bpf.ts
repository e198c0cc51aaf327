// The translation alone, at both hooks: out to one address of each family, and back.
import { config, be32, tc, TC, u16, u32, xdp, XDP, type PacketContext } from "@skep/bpf";
import { Ethernet } from "@skep/bpf/net";
import { clock } from "../../src/bpf/lifetimes.bpf.ts";
import { mapBack, mapOut, Translation } from "../../src/bpf/nat.bpf.ts";
import { ETHERTYPE_IPV6, Packet, parseIpv4, parseIpv6 } from "../../src/bpf/packet.bpf.ts";
import {
  rewriteDestination,
  rewriteDestinationXdp,
  rewriteSource,
  rewriteSourceXdp,
} from "../../src/bpf/rewrite.bpf.ts";

export { nat } from "../../src/bpf/nat-map.bpf.ts";
export { fragments } from "../../src/bpf/packet.bpf.ts";

export const node4 = config("node4", be32, 0xc0000201);

/** Drop codes stand above this in what a program returns. */
const REFUSED = 1000;

function parse(ctx: PacketContext, packet: Packet): u32 {
  const ethernet = ctx.header(Ethernet, 0);
  if (!ethernet) return 134;
  return ethernet.type === ETHERTYPE_IPV6 ? parseIpv6(ctx, packet) : parseIpv4(ctx, packet);
}

function target(packet: Packet, to: Translation): void {
  if (packet.isIpv6 !== 0) to.address = { w0: 0x20010db8, w1: 0, w2: 0, w3: 1 };
  else to.address = { w0: 0, w1: 0, w2: 0xffff, w3: node4.value };
}

export const outTc = tc("nat_out_tc", (ctx) => {
  const packet = Packet.zero();
  const to = Translation.zero();
  let refused = parse(ctx, packet);
  if (refused !== 0) return u32(refused + REFUSED);
  target(packet, to);
  refused = mapOut(packet, to, clock());
  if (refused === 0) refused = rewriteSource(ctx, packet, to);
  return refused === 0 ? TC.OK : refused + REFUSED;
});

export const backTc = tc("nat_back_tc", (ctx) => {
  const packet = Packet.zero();
  const to = Translation.zero();
  let refused = parse(ctx, packet);
  if (refused !== 0) return refused + REFUSED;
  refused = mapBack(packet, to, clock());
  if (refused === 0) refused = rewriteDestination(ctx, packet, to);
  return refused === 0 ? TC.OK : refused + REFUSED;
});

export const outXdp = xdp("nat_out_xdp", (ctx) => {
  const packet = Packet.zero();
  const to = Translation.zero();
  let refused = parse(ctx, packet);
  if (refused !== 0) return refused + REFUSED;
  target(packet, to);
  refused = mapOut(packet, to, clock());
  if (refused === 0) refused = rewriteSourceXdp(ctx, packet, to);
  return refused === 0 ? XDP.PASS : refused + REFUSED;
});

export const backXdp = xdp("nat_back_xdp", (ctx) => {
  const packet = Packet.zero();
  const to = Translation.zero();
  let refused = parse(ctx, packet);
  if (refused !== 0) return refused + REFUSED;
  refused = mapBack(packet, to, clock());
  if (refused === 0) refused = rewriteDestinationXdp(ctx, packet, to);
  return refused === 0 ? XDP.PASS : refused + REFUSED;
});
