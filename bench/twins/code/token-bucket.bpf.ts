// So many packets a second from each source.
import { be32, ktimeGetNs, lruHash, struct, u64, xdp, XDP, type Of } from "@skep/bpf";
import { Ethernet, ETHERTYPE, Ipv4 } from "@skep/bpf/net";

export const license = "GPL";

const SECOND = 1_000_000_000n;
const RATE = 100_000n;
const BURST = 1_000_000_000n;
const Source = struct("Source", { address: be32 });
const Bucket = struct("Bucket", { time: u64, tokens: u64 });
export const buckets = lruHash("buckets", { key: Source, value: Bucket, maxEntries: 4096 });

function take(bucket: Of<typeof Bucket>, wanted: u64, now: u64): boolean {
  let tokens = bucket.tokens;
  const passed = now - bucket.time;
  if (passed >= SECOND) tokens += RATE;
  else tokens += (passed * RATE) / SECOND;
  if (tokens > BURST) tokens = BURST;
  bucket.time = now;
  if (tokens < wanted) {
    bucket.tokens = tokens;
    return false;
  }
  bucket.tokens = tokens - wanted;
  return true;
}

export const run = xdp("run", (ctx) => {
  const ethernet = ctx.header(Ethernet, 0);
  const ip = ctx.header(Ipv4, Ethernet.size);
  if (!ethernet || !ip) return XDP.DROP;
  if (ethernet.type !== ETHERTYPE.IPV4) return XDP.PASS;
  const now = ktimeGetNs();
  const source = { address: ip.source };
  const bucket = buckets.get(source);
  if (bucket) return take(bucket, 1n, now) ? XDP.PASS : XDP.DROP;
  buckets.set(source, { time: now, tokens: BURST - 1n });
  return XDP.PASS;
});
