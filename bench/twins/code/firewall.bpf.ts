// Sources by longest prefix, then services by exact protocol and port.
import { be16, be32, hash, lpmTrie, MAP, percpuArray, struct, u32, u64, u8, xdp, XDP, type Of } from "@skep/bpf";
import { Ethernet, ETHERTYPE, Ipv4, PROTOCOL, Udp } from "@skep/bpf/net";

export const license = "GPL";

const Prefix = struct("Prefix", { length: u32, address: be32 });
const Service = struct("Service", { port: be16, protocol: u8, pad: u8 });
const Rule = struct("Rule", { verdict: u32, index: u32 });
export const sources = lpmTrie("sources", { key: Prefix, value: Rule, maxEntries: 1024, flags: MAP.NO_PREALLOC });
export const services = hash("services", { key: Service, value: Rule, maxEntries: 1024 });
export const hits = percpuArray("hits", { value: u64, maxEntries: 64 });

function apply(rule: Of<typeof Rule>): u32 {
  const hit = hits.ref(rule.index);
  if (hit) hit.value += 1n;
  return rule.verdict;
}

export const run = xdp("run", (ctx) => {
  const ethernet = ctx.header(Ethernet, 0);
  const ip = ctx.header(Ipv4, Ethernet.size);
  if (!ethernet || !ip) return XDP.DROP;
  if (ethernet.type !== ETHERTYPE.IPV4) return XDP.PASS;
  const source = sources.get({ length: 32, address: ip.source });
  if (source) return apply(source);
  if (ip.protocol !== PROTOCOL.TCP && ip.protocol !== PROTOCOL.UDP) return XDP.PASS;
  const ports = ctx.header(Udp, Ethernet.size + ip.ihl * 4);
  if (!ports) return XDP.DROP;
  const service = services.get({ port: ports.destination, protocol: ip.protocol, pad: 0 });
  return service ? apply(service) : XDP.PASS;
});
