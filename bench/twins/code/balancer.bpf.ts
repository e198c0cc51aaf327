// A balancer that encapsulates: the service's table, the backend by hash of the five-tuple, IP in IP, back out.
import { array, be16, be32, hash, percpuArray, struct, u32, u64, u8, xdp, XDP, xdpAdjustHead } from "@skep/bpf";
import { ipv4Checksum } from "@skep/bpf/checksum";
import { jhash3Words } from "@skep/bpf/hash";
import { Ethernet, ETHERTYPE, Ipv4, PROTOCOL, Udp } from "@skep/bpf/net";

export const license = "GPL";

const TABLE = 1021;
const Mac = struct("Mac", { bytes: array(u8, 6) });
const Vip = struct("Vip", { address: be32, port: be16, protocol: u8, pad: u8 });
const Service = struct("Service", { index: u32, flags: u32 });
const Backend = struct("Backend", { address: be32, mac: array(u8, 6), pad: array(u8, 2) });
const Stats = struct("Stats", { packets: u64, bytes: u64 });
export const vips = hash("vips", { key: Vip, value: Service, maxEntries: 64 });
export const table = array("table", { value: u32, maxEntries: 4 * TABLE });
export const backends = array("backends", { value: Backend, maxEntries: 64 });
export const stats = percpuArray("stats", { value: Stats, maxEntries: 64 });

export const run = xdp("run", (ctx) => {
  const ethernet = ctx.header(Ethernet, 0);
  const ip = ctx.header(Ipv4, Ethernet.size);
  const ports = ctx.header(Udp, Ethernet.size + Ipv4.size);
  if (!ethernet || !ip || !ports) return XDP.DROP;
  if (ethernet.type !== ETHERTYPE.IPV4 || ip.ihl !== 5) return XDP.PASS;
  if (ip.protocol !== PROTOCOL.TCP && ip.protocol !== PROTOCOL.UDP) return XDP.PASS;
  if ((ip.fragment & 0x3fff) !== 0) return XDP.DROP;
  const service = vips.get({ address: ip.destination, port: ports.destination, protocol: ip.protocol, pad: 0 });
  if (!service) return XDP.PASS;
  const hashed = jhash3Words(ip.source, ip.destination, (u32(ports.source) << 16) | ports.destination, 0);
  const chosen = table.get(service.index * TABLE + (hashed % TABLE));
  if (chosen === null) return XDP.DROP;
  const backend = backends.get(chosen);
  if (!backend) return XDP.DROP;
  const counted = stats.get(chosen);
  const inner = ip.length;
  if (counted) {
    counted.packets += 1n;
    counted.bytes += u64(inner);
  }
  const tos = ip.tos;
  const local = ip.destination;
  const mac = Mac.zero();
  mac.bytes = ethernet.destination;
  if (xdpAdjustHead(ctx, -Ipv4.size) !== 0) return XDP.DROP;
  const outerEthernet = ctx.header(Ethernet, 0);
  const outer = ctx.header(Ipv4, Ethernet.size);
  if (!outerEthernet || !outer) return XDP.DROP;
  outerEthernet.source = mac.bytes;
  outerEthernet.destination = backend.mac;
  outerEthernet.type = ETHERTYPE.IPV4;
  outer.version = 4;
  outer.ihl = 5;
  outer.tos = tos;
  outer.length = inner + Ipv4.size;
  outer.identification = 0;
  outer.fragment = 0;
  outer.ttl = 64;
  outer.protocol = PROTOCOL.IPIP;
  outer.checksum = 0;
  outer.source = local;
  outer.destination = backend.address;
  outer.checksum = ipv4Checksum(outer);
  return XDP.TX;
});
