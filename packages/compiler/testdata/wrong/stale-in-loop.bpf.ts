import { range, tc, TC, skbChangeTail } from "@skep/bpf";
import { Ipv4 } from "@skep/bpf/net";
export const main = tc("main", (ctx) => {
  const ip = ctx.header(Ipv4, 14);
  if (!ip) return TC.OK;
  for (const i of range(4)) {
    if (ip.ttl === i) return TC.SHOT;
    skbChangeTail(ctx, 100, 0n);
  }
  return TC.OK;
});
