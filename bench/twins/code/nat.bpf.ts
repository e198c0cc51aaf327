// Destination address and port by a table, both checksums mended (RFC 1624).
import { be16, be32, hash, struct, u16, u32, xdp, XDP } from "@skep/bpf";
import { foldChecksum } from "@skep/bpf/checksum";
import { Ethernet, ETHERTYPE, Ipv4, PROTOCOL, Tcp } from "@skep/bpf/net";

export const license = "GPL";

const Target = struct("Target", { address: be32, port: be16, pad: be16 });
export const translations = hash("translations", { key: Target, value: Target, maxEntries: 1024 });

function differ(from: u32, to: u32): u32 {
  const complement: u32 = ~from;
  return (complement & 0xffff) + (complement >> 16) + (to & 0xffff) + (to >> 16);
}

export const run = xdp("run", (ctx) => {
  const ethernet = ctx.header(Ethernet, 0);
  const ip = ctx.header(Ipv4, Ethernet.size);
  const tcp = ctx.header(Tcp, Ethernet.size + Ipv4.size);
  if (!ethernet || !ip || !tcp) return XDP.DROP;
  if (ethernet.type !== ETHERTYPE.IPV4 || ip.ihl !== 5 || ip.protocol !== PROTOCOL.TCP) return XDP.PASS;
  const to = translations.get({ address: ip.destination, port: tcp.destination, pad: 0 });
  if (!to) return XDP.PASS;
  const address = differ(ip.destination, to.address);
  const port: u32 = u32(u16(~tcp.destination)) + to.port;
  ip.checksum = ~foldChecksum(u32(u16(~ip.checksum)) + address);
  tcp.checksum = ~foldChecksum(u32(u16(~tcp.checksum)) + address + port);
  ip.destination = to.address;
  tcp.destination = to.port;
  return XDP.TX;
});
