// Marks packets for the network's queues: the DSCP of a port, and the packet's priority on this host.
import { hash, struct, tc, TC, u16, u32, u8 } from "@skep/bpf";
import { replaceWord } from "@skep/bpf/checksum";
import { Ethernet, Ipv4, PROTOCOL, Udp } from "@skep/bpf/net";

const Class = struct("Class", { dscp: u8, priority: u32 });
export const classes = hash("classes", { key: u16, value: Class, maxEntries: 64 });

export const classify = tc("classify", (ctx) => {
  const ip = ctx.header(Ipv4, Ethernet.size);
  if (!ip || ip.ihl !== 5 || ip.protocol !== PROTOCOL.UDP) return TC.OK;
  const udp = ctx.header(Udp, Ethernet.size + Ipv4.size);
  const wanted = udp ? classes.get(udp.destination) : null;
  if (!wanted) return TC.OK;
  ctx.priority = wanted.priority;
  const before: u16 = 0x4500 | u16(ip.tos);
  ip.tos = ((wanted.dscp & 0x3f) << 2) | (ip.tos & 3);
  const after: u16 = 0x4500 | u16(ip.tos);
  ip.checksum = replaceWord(ip.checksum, before, after);
  return TC.OK;
});
