// A balancer for backends anywhere: the packet goes to one of them in an IPIP tunnel (RFC 2003).
import { array, be32, config, struct, u16, u32, xdp, XDP, xdpAdjustHead } from "@skep/bpf";
import { ipv4Checksum } from "@skep/bpf/checksum";
import { jhash2Words } from "@skep/bpf/hash";
import { Ethernet, ETHERTYPE, Ipv4, PROTOCOL } from "@skep/bpf/net";

const Target = struct("Target", { address: be32 });
export const targets = array("targets", { value: Target, maxEntries: 16 });
export const count = config("count", u32, 1);
export const own = config("own", be32, 0x0a000001);

export const tunnel = xdp("tunnel", (ctx) => {
  const before = ctx.header(Ethernet, 0);
  const inner = ctx.header(Ipv4, Ethernet.size);
  if (!before || !inner || before.type !== ETHERTYPE.IPV4 || count.value === 0) return XDP.PASS;
  const flow = jhash2Words(inner.source, inner.destination, 0);
  const target = targets.get(flow % count.value);
  if (!target) return XDP.DROP;
  const length: u16 = inner.length;
  const old = { ...before };
  if (xdpAdjustHead(ctx, -20) !== 0) return XDP.ABORTED;
  const ethernet = ctx.header(Ethernet, 0);
  const ip = ctx.header(Ipv4, Ethernet.size);
  if (!ethernet || !ip) return XDP.ABORTED;
  ethernet.source = old.destination;
  ethernet.destination = old.source;
  ethernet.type = ETHERTYPE.IPV4;
  ip.version = 4;
  ip.ihl = 5;
  ip.tos = 0;
  ip.length = length + 20;
  ip.identification = 0;
  ip.fragment = 0;
  ip.ttl = 64;
  ip.protocol = PROTOCOL.IPIP;
  ip.source = own.value;
  ip.destination = target.address;
  ip.checksum = ipv4Checksum(ip);
  return XDP.TX;
});
