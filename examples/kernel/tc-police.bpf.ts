// No more than so many bytes a second from each interface, with a burst.
import { config, hash, tc, TC, u32, u64 } from "@skep/bpf";
import { takeTokens, TokenBucket } from "@skep/bpf/stats";

export const rate = config("rate", u64, 1_000_000n);
export const burst = config("burst", u64, 1500n);
export const buckets = hash("buckets", { key: u32, value: TokenBucket, maxEntries: 64 });

export const police = tc("police", (ctx) => {
  const bucket = buckets.get(ctx.ifindex);
  if (!bucket) {
    buckets.set(ctx.ifindex, { time: 0n, tokens: 0n }, "new");
    return TC.OK;
  }
  return takeTokens(bucket, { rate: rate.value, burst: burst.value }, u64(ctx.length)) ? TC.OK : TC.SHOT;
});
