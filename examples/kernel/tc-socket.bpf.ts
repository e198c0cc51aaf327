// Lets through only what a socket of this host waits for: the kernel's own tables are asked.
import { skLookupUdp, skRelease, tc, TC, type u16, type u32 } from "@skep/bpf";
import { Ethernet, Ipv4, Ipv4Tuple, PROTOCOL, Udp } from "@skep/bpf/net";

const OWN_NAMESPACE = 0xffff_ffff_ffff_ffffn;

interface Ends {
  source: u32;
  destination: u32;
  sourcePort: u16;
  destinationPort: u16;
}

export const wanted = tc("wanted", (ctx) => {
  const ip = ctx.header(Ipv4, Ethernet.size);
  if (!ip || ip.protocol !== PROTOCOL.UDP) return TC.OK;
  const udp = ctx.header(Udp, Ethernet.size + ip.ihl * 4);
  if (!udp) return TC.SHOT;
  const { source, destination } = ip;
  const ends: Ends = { source, destination, sourcePort: udp.source, destinationPort: udp.destination };
  const tuple = { ...Ipv4Tuple.zero(), ...ends };
  const socket = skLookupUdp(ctx, tuple, OWN_NAMESPACE, 0n);
  if (!socket) return TC.SHOT;
  try {
    return socket.srcPort === ends.destinationPort ? TC.OK : TC.SHOT;
  } finally {
    skRelease(socket);
  }
});
