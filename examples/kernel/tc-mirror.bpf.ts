// A copy of every packet of a port goes to another interface; the packet itself goes its way.
import { cloneRedirect, config, tc, TC, u16, u32 } from "@skep/bpf";
import { Ethernet, Ipv4, PROTOCOL, Udp } from "@skep/bpf/net";

export const port = config("port", u16, 53);
export const to = config("to", u32, 0);

export const mirror = tc("mirror", (ctx) => {
  const ip = ctx.header(Ipv4, Ethernet.size);
  if (!ip || ip.protocol !== PROTOCOL.UDP) return TC.OK;
  const udp = ctx.header(Udp, Ethernet.size + ip.ihl * 4);
  if (!udp || udp.destination !== port.value) return TC.OK;
  cloneRedirect(ctx, to.value, 0n);
  return TC.OK;
});
