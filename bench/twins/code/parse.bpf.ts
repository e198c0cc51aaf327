// Ethernet, up to two VLAN tags, IPv4 with options or IPv6, then the ports: counts by protocol, drops DNS.
import { percpuArray, range, u32, u64, xdp, XDP, type u8 } from "@skep/bpf";
import { Ethernet, ETHERTYPE, Ipv4, Ipv6, PROTOCOL, Tcp, Udp, Vlan } from "@skep/bpf/net";

export const license = "GPL";

export const protocols = percpuArray("protocols", { value: u64, maxEntries: 256 });

export const run = xdp("run", (ctx) => {
  const ethernet = ctx.header(Ethernet, 0);
  if (!ethernet) return XDP.DROP;
  let type = ethernet.type;
  let at: u32 = Ethernet.size;
  for (const _ of range(2)) {
    if (type !== ETHERTYPE.VLAN && type !== ETHERTYPE.QINQ) break;
    const tag = ctx.header(Vlan, at);
    if (!tag) return XDP.DROP;
    type = tag.type;
    at += Vlan.size;
  }
  let protocol: u8 = 0;
  if (type === ETHERTYPE.IPV4) {
    const ip = ctx.header(Ipv4, at);
    if (!ip || ip.ihl < 5) return XDP.DROP;
    protocol = ip.protocol;
    at += u32(ip.ihl) * 4;
  } else if (type === ETHERTYPE.IPV6) {
    const ip = ctx.header(Ipv6, at);
    if (!ip) return XDP.DROP;
    protocol = ip.nextHeader;
    at += Ipv6.size;
  } else {
    return XDP.PASS;
  }
  const count = protocols.ref(protocol);
  if (count) count.value += 1n;
  if (protocol === PROTOCOL.UDP) {
    const udp = ctx.header(Udp, at);
    if (!udp) return XDP.DROP;
    return udp.destination === 53 || udp.source === 53 ? XDP.DROP : XDP.PASS;
  }
  if (protocol === PROTOCOL.TCP) {
    const tcp = ctx.header(Tcp, at);
    if (!tcp) return XDP.DROP;
    return tcp.destination === 53 ? XDP.DROP : XDP.PASS;
  }
  return XDP.PASS;
});
