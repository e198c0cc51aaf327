// Over the extension headers of IPv6 to what is carried, which is counted.
import { percpuArray, range, u32, u64, xdp, XDP } from "@skep/bpf";
import { Ethernet, ETHERTYPE, Ipv6, Ipv6Fragment, Ipv6Option, PROTOCOL, Udp } from "@skep/bpf/net";

export const license = "GPL";

export const carried = percpuArray("carried", { value: u64, maxEntries: 256 });

export const run = xdp("run", (ctx) => {
  const ethernet = ctx.header(Ethernet, 0);
  const ip = ctx.header(Ipv6, Ethernet.size);
  if (!ethernet || !ip) return XDP.DROP;
  if (ethernet.type !== ETHERTYPE.IPV6) return XDP.PASS;
  let next = ip.nextHeader;
  let at: u32 = Ethernet.size + Ipv6.size;
  for (const _ of range(6)) {
    if (next === PROTOCOL.FRAGMENT) {
      const fragment = ctx.header(Ipv6Fragment, at);
      if (!fragment) return XDP.DROP;
      next = fragment.nextHeader;
      at += Ipv6Fragment.size;
    } else if (next === PROTOCOL.HOP_BY_HOP || next === PROTOCOL.ROUTING || next === PROTOCOL.DESTINATION_OPTIONS) {
      const option = ctx.header(Ipv6Option, at);
      if (!option) return XDP.DROP;
      next = option.nextHeader;
      at += (u32(option.length) + 1) * 8;
    } else {
      break;
    }
  }
  const count = carried.ref(next);
  if (count) count.value += 1n;
  if (next !== PROTOCOL.UDP) return XDP.PASS;
  const udp = ctx.header(Udp, at);
  if (!udp) return XDP.DROP;
  return udp.destination === 53 ? XDP.DROP : XDP.PASS;
});
