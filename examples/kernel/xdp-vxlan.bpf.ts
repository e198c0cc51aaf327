// Ends a VXLAN tunnel: the outer headers go, and what is inside goes on as if it had come alone.
import { config, u32, xdp, XDP, xdpAdjustHead } from "@skep/bpf";
import { Ethernet, Ipv4, PROTOCOL, Udp, Vxlan } from "@skep/bpf/net";

export const vni = config("vni", u32, 42);
const OUTER = 14 + 20 + 8 + 8;

export const end = xdp("end", (ctx) => {
  const ip = ctx.header(Ipv4, Ethernet.size);
  if (!ip || ip.ihl !== 5 || ip.protocol !== PROTOCOL.UDP) return XDP.PASS;
  const udp = ctx.header(Udp, Ethernet.size + Ipv4.size);
  if (!udp || udp.destination !== 4789) return XDP.PASS;
  const vxlan = ctx.header(Vxlan, Ethernet.size + Ipv4.size + Udp.size);
  if (!vxlan || (vxlan.flags & 0x0800_0000) === 0) return XDP.DROP;
  if (vxlan.vni >>> 8 !== vni.value) return XDP.DROP;
  return xdpAdjustHead(ctx, OUTER) === 0 ? XDP.PASS : XDP.ABORTED;
});
