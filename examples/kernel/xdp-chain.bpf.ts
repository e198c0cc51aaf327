// A parser in stages: each stage is a program of its own, reached by a tail call, so that it can be replaced while packets flow.
import { array, progArray, u32, u64, xdp, XDP, type XdpContext } from "@skep/bpf";
import { Ethernet, ETHERTYPE, Ipv4, PROTOCOL, Tcp, Udp } from "@skep/bpf/net";

export const stages = progArray("stages", { maxEntries: 8 });
export const STAGE = { IPV4: 0, TCP: 1, UDP: 2 } as const;
/** What each stage saw. */
export const seen = array("seen", { value: u64, maxEntries: 4 });

function note(index: u32): void {
  const counter = seen.ref(index);
  if (counter) counter.value += 1n;
}

export const ethernet = xdp("ethernet", (ctx) => {
  if (ctx.header(Ethernet, 0)?.type === ETHERTYPE.IPV4) stages.tailCall(ctx, STAGE.IPV4);
  note(3);
  return XDP.PASS;
});

export const ipv4 = xdp("ipv4", (ctx) => {
  note(STAGE.IPV4);
  const protocol = ctx.header(Ipv4, Ethernet.size)?.protocol ?? 0;
  if (protocol === PROTOCOL.TCP) stages.tailCall(ctx, STAGE.TCP);
  if (protocol === PROTOCOL.UDP) stages.tailCall(ctx, STAGE.UDP);
  return XDP.DROP;
});

export const tcp = xdp("tcp", (ctx) => {
  note(STAGE.TCP);
  return ctx.header(Tcp, Ethernet.size + Ipv4.size)?.destination === 23 ? XDP.DROP : XDP.PASS;
});

export const udp = xdp("udp", (ctx) => {
  note(STAGE.UDP);
  return ctx.header(Udp, Ethernet.size + Ipv4.size) ? XDP.PASS : XDP.DROP;
});
