// Counts the TCP packets to a port by connection, and tells of each new one.
import {
  be16,
  be32,
  bloomFilter,
  config,
  global,
  lruHash,
  percpuHash,
  perfEventArray,
  queue,
  ringBuf,
  struct,
  tc,
  TC,
  u16,
  u32,
  u64,
} from "@skep/bpf";
import { Ethernet, Ipv4, Tcp } from "@skep/bpf/net";

export const license = "GPL";

const Tuple = struct("Tuple", { saddr: be32, daddr: be32, sport: be16, dport: be16 });
const Count = struct("Count", { packets: u64, bytes: u64 });

export const port = config("wanted_port", u16, 80);
export const total = global("total", u64, 0n);
export const seen = lruHash("seen_map", { key: Tuple, value: Count, maxEntries: 1024 });
export const perCpu = percpuHash("per_cpu", { key: u32, value: Count, maxEntries: 16 });
export const news = ringBuf("news_ring", Tuple, { bytes: 4096 });

export const samples = perfEventArray("samples", Tuple);
export const jobs = queue("jobs", { value: Tuple, maxEntries: 8 });
export const met = bloomFilter("met", { value: u16, maxEntries: 64 });

export const count = tc("count_tcp", (ctx) => {
  const ip = ctx.header(Ipv4, Ethernet.size);
  if (!ip || ip.protocol !== 6) return TC.OK;
  const tcp = ctx.header(Tcp, Ethernet.size + ip.ihl * 4);
  if (!tcp || tcp.destination !== port.value) return TC.OK;
  const key = { saddr: ip.source, daddr: ip.destination, sport: tcp.source, dport: tcp.destination };
  total.value += 1n;
  const mine = perCpu.get(1);
  if (mine) mine.packets += 1n;
  else perCpu.set(1, { packets: 1n, bytes: 0n });
  const entry = seen.get(key);
  if (entry) {
    entry.packets += 1n;
    entry.bytes += u64(ctx.length);
    return TC.OK;
  }
  seen.set(key, { packets: 1n, bytes: u64(ctx.length) });
  news.emit(key);
  samples.output(ctx, key);
  jobs.push(key);
  met.add(tcp.source);
  return TC.OK;
});
