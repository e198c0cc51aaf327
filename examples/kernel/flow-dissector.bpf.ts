// Takes UDP over IPv4 apart for the kernel's flow hash; everything else is left to the kernel.
import { FLOW_DISSECTOR, flowDissector } from "@skep/bpf";
import { Ethernet, ETHERTYPE, Ipv4, PROTOCOL, Udp } from "@skep/bpf/net";

export const dissect = flowDissector("dissect", (ctx) => {
  const keys = ctx.flowKeys;
  if (keys.nProto !== ETHERTYPE.IPV4) return FLOW_DISSECTOR.CONTINUE;
  const ip = ctx.header(Ipv4, Ethernet.size);
  if (!ip || ip.protocol !== PROTOCOL.UDP) return FLOW_DISSECTOR.CONTINUE;
  const udp = ctx.header(Udp, Ethernet.size + ip.ihl * 4);
  if (!udp) return FLOW_DISSECTOR.DROP;
  keys.addrProto = ETHERTYPE.IPV4;
  keys.ipProto = PROTOCOL.UDP;
  keys.nhoff = Ethernet.size;
  keys.thoff = Ethernet.size + ip.ihl * 4;
  keys.ipv4Src = ip.source;
  keys.ipv4Dst = ip.destination;
  keys.sport = udp.source;
  keys.dport = udp.destination;
  return FLOW_DISSECTOR.OK;
});
