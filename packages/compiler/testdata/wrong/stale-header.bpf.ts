import { skbPullData, tc, TC } from "@skep/bpf";
import { Ipv4 } from "@skep/bpf/net";
export const main = tc("main", (ctx) => {
  const ip = ctx.header(Ipv4, 14);
  if (!ip) return TC.OK;
  skbPullData(ctx, 100);
  return ip.ttl === 1 ? TC.SHOT : TC.OK;
});
