// The same headers through a dynptr: no bounds to keep in mind, and writes that also reach what is not in one piece.
import { dynptrFromPacket, struct, u8, xdp, XDP } from "@skep/bpf";
import { Ethernet, ETHERTYPE, Ipv4 } from "@skep/bpf/net";

export const license = "GPL";
const Ttl = struct("Ttl", { value: u8 });

/** Sets the time to live of IPv4 packets to 1 by a write, and drops what has it already. */
export const expire = xdp("expire", (ctx) => {
  const packet = dynptrFromPacket(ctx);
  if (packet.size < Ethernet.size + Ipv4.size) return XDP.PASS;
  const ethernet = packet.slice(Ethernet, 0);
  if (!ethernet || ethernet.type !== ETHERTYPE.IPV4) return XDP.PASS;
  const ip = Ipv4.zero();
  if (packet.read(ip, 14n) !== 0n) return XDP.ABORTED;
  if (ip.ttl === 1) return XDP.DROP;
  return packet.write(22n, { ...Ttl.zero(), value: 1 }) === 0n ? XDP.PASS : XDP.ABORTED;
});
