// Answers echo requests itself.
import { u16, xdp, XDP } from "@skep/bpf";
import { replaceWord } from "@skep/bpf/checksum";
import { Ethernet, Icmp, Ipv4, PROTOCOL } from "@skep/bpf/net";

const ECHO_REQUEST = 8;

export const ping = xdp("ping", (ctx) => {
  const ethernet = ctx.header(Ethernet, 0);
  const ip = ctx.header(Ipv4, Ethernet.size);
  if (!ethernet || !ip || ip.ihl !== 5 || ip.protocol !== PROTOCOL.ICMP) return XDP.PASS;
  const icmp = ctx.header(Icmp, Ethernet.size + Ipv4.size);
  if (!icmp || icmp.type !== ECHO_REQUEST || icmp.code !== 0) return XDP.PASS;
  const macs = { ...ethernet };
  ethernet.source = macs.destination;
  ethernet.destination = macs.source;
  const { source } = ip;
  ip.source = ip.destination;
  ip.destination = source;
  icmp.type = 0;
  const before: u16 = 0x0800;
  icmp.checksum = replaceWord(icmp.checksum, before, 0);
  return XDP.TX;
});
