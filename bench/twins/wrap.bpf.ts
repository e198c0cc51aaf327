// Calls a program again and again on the same packet: what it has changed at the packet's head is put back.
import { array, i32, progArray, struct, subprogram, tc, TC, u16, u64, xdp, XDP, xdpAdjustHead } from "@skep/bpf";
import type { TcContext, XdpContext } from "@skep/bpf";

export const tcTarget = progArray("tc_target", { maxEntries: 1 });
export const xdpTarget = progArray("xdp_target", { maxEntries: 1 });

/** The first 54 bytes: Ethernet, IPv4 and TCP. `ports`: so many source ports in turn, a power of two, from `next` on; 0: the packet's own. */
const Head = struct("Head", { words: array(u64, 6), rest: array(u64, 1), ports: u64, next: u64 });
const Packet = struct("PacketHead", { words: array(u64, 6) });
export const heads = array("heads", { value: Head, maxEntries: 1 });

const runTc = subprogram((ctx: TcContext): i32 => {
  tcTarget.tailCall(ctx, 0);
  return TC.UNSPEC;
});
const runXdp = subprogram((ctx: XdpContext): i32 => {
  xdpTarget.tailCall(ctx, 0);
  return XDP.ABORTED;
});

const SourcePort = struct("SourcePort", { value: u16 });

/** Another flow for each run. */
function vary(ctx: TcContext | XdpContext): void {
  const head = heads.get(0);
  if (!head || head.ports === 0n) return;
  const port = ctx.header(SourcePort, 34);
  if (port) port.value = u16(head.next & (head.ports - 1n));
  head.next += 1n;
}

export const wrapTc = tc("wrap_tc", (ctx) => {
  vary(ctx);
  const verdict = runTc(ctx);
  const head = heads.get(0);
  const packet = ctx.header(Packet, 0);
  if (head && packet) packet.words = head.words;
  const rest = ctx.header(Rest, Packet.size);
  if (head && rest) rest.low = head.rest[0];
  ctx.mark = 0;
  return verdict;
});

const Rest = struct("PacketRest", { low: u64 });

export const wrapXdp = xdp("wrap_xdp", (ctx) => {
  const before = ctx.length;
  vary(ctx);
  const verdict = runXdp(ctx);
  if (ctx.length !== before) xdpAdjustHead(ctx, i32(ctx.length - before));
  const head = heads.get(0);
  const packet = ctx.header(Packet, 0);
  if (head && packet) packet.words = head.words;
  const rest = ctx.header(Rest, Packet.size);
  if (head && rest) rest.low = head.rest[0];
  return verdict;
});

export const nothingTc = tc("nothing_tc", () => TC.OK);
export const nothingXdp = xdp("nothing_xdp", () => XDP.PASS);
export const growXdp = xdp("grow_xdp", (ctx) => (xdpAdjustHead(ctx, -20) === 0 ? XDP.TX : XDP.DROP));
