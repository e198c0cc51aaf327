// A parser in three programs, each of which hands the packet on.
import { percpuArray, progArray, u64, xdp, XDP, type u32 } from "@skep/bpf";
import { Ethernet, ETHERTYPE, Ipv4, PROTOCOL, Tcp } from "@skep/bpf/net";

export const license = "GPL";

export const stages = progArray("stages", { maxEntries: 4 });
export const passed = percpuArray("passed", { value: u64, maxEntries: 4 });

function count(stage: u32): void {
  const counter = passed.ref(stage);
  if (counter) counter.value += 1n;
}

export const run = xdp("run", (ctx) => {
  const ethernet = ctx.header(Ethernet, 0);
  if (!ethernet) return XDP.DROP;
  count(0);
  if (ethernet.type === ETHERTYPE.IPV4) stages.tailCall(ctx, 1);
  return XDP.PASS;
});

export const network = xdp("network", (ctx) => {
  const ip = ctx.header(Ipv4, Ethernet.size);
  if (!ip || ip.ihl !== 5) return XDP.DROP;
  count(1);
  if (ip.protocol === PROTOCOL.TCP) stages.tailCall(ctx, 2);
  return XDP.PASS;
});

export const transport = xdp("transport", (ctx) => {
  const tcp = ctx.header(Tcp, Ethernet.size + Ipv4.size);
  if (!tcp) return XDP.DROP;
  count(2);
  return tcp.destination === 80 ? XDP.TX : XDP.PASS;
});
