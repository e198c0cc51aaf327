// One hop: the route by longest prefix, one TTL less, the addresses of the next hop.
import { array, be32, lpmTrie, MAP, percpuArray, struct, u16, u32, u64, u8, xdp, XDP } from "@skep/bpf";
import { Ethernet, ETHERTYPE, Ipv4 } from "@skep/bpf/net";

export const license = "GPL";

const Prefix = struct("Prefix", { length: u32, address: be32 });
const Route = struct("Route", { port: u32, source: array(u8, 6), destination: array(u8, 6) });
const Counters = struct("Counters", { packets: u64, bytes: u64 });
export const routes = lpmTrie("routes", { key: Prefix, value: Route, maxEntries: 1024, flags: MAP.NO_PREALLOC });
export const ports = percpuArray("ports", { value: Counters, maxEntries: 16 });

export const run = xdp("run", (ctx) => {
  const ethernet = ctx.header(Ethernet, 0);
  const ip = ctx.header(Ipv4, Ethernet.size);
  if (!ethernet || !ip) return XDP.DROP;
  if (ethernet.type !== ETHERTYPE.IPV4) return XDP.PASS;
  if (ip.ttl <= 1) return XDP.PASS;
  const route = routes.get({ length: 32, address: ip.destination });
  if (!route) return XDP.PASS;
  const sum: u32 = u32(ip.checksum) + 0x0100;
  ip.checksum = u16(sum + (sum >= 0xffff ? 1 : 0));
  ip.ttl -= 1;
  ethernet.destination = route.destination;
  ethernet.source = route.source;
  const counters = ports.get(route.port);
  if (counters) {
    counters.packets += 1n;
    counters.bytes += u64(ctx.length);
  }
  return XDP.TX;
});
