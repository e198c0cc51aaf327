// Answers a ping where it came in.
import { array, struct, u16, u32, u8, xdp, XDP } from "@skep/bpf";
import { Ethernet, ETHERTYPE, Icmp, Ipv4, PROTOCOL } from "@skep/bpf/net";

export const license = "GPL";

const Mac = struct("Mac", { bytes: array(u8, 6) });

export const run = xdp("run", (ctx) => {
  const ethernet = ctx.header(Ethernet, 0);
  const ip = ctx.header(Ipv4, Ethernet.size);
  const icmp = ctx.header(Icmp, Ethernet.size + Ipv4.size);
  if (!ethernet || !ip || !icmp) return XDP.PASS;
  if (ethernet.type !== ETHERTYPE.IPV4 || ip.ihl !== 5 || ip.protocol !== PROTOCOL.ICMP) return XDP.PASS;
  if (icmp.type !== 8 || icmp.code !== 0) return XDP.PASS;
  const mac = Mac.zero();
  mac.bytes = ethernet.destination;
  ethernet.destination = ethernet.source;
  ethernet.source = mac.bytes;
  const address = ip.destination;
  ip.destination = ip.source;
  ip.source = address;
  icmp.type = 0;
  const sum: u32 = u32(icmp.checksum) + 0x0800;
  icmp.checksum = u16(sum + (sum >> 16));
  return XDP.TX;
});
