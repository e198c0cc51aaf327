// So many packets a second from each source, and no more.
import { be32, config, lruHash, struct, u64, xdp, XDP } from "@skep/bpf";
import { Ethernet, Ipv4 } from "@skep/bpf/net";
import { takeTokens, TokenBucket } from "@skep/bpf/stats";

export const rate = config("rate", u64, 1000n);
export const burst = config("burst", u64, 10n);
const Source = struct("Source", { address: be32 });
export const buckets = lruHash("buckets", { key: Source, value: TokenBucket, maxEntries: 4096 });

export const limit = xdp("limit", (ctx) => {
  const ip = ctx.header(Ipv4, Ethernet.size);
  if (!ip) return XDP.PASS;
  const source = { address: ip.source };
  let bucket = buckets.get(source);
  if (!bucket) {
    buckets.set(source, { time: 0n, tokens: 0n }, "new");
    bucket = buckets.get(source);
    if (!bucket) return XDP.PASS;
  }
  return takeTokens(bucket, { rate: rate.value, burst: burst.value }, 1n) ? XDP.PASS : XDP.DROP;
});
