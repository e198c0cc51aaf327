import { tc, TC, l3CsumReplace } from "@skep/bpf";
import { Ipv4 } from "@skep/bpf/net";
export const main = tc("main", (ctx) => {
  const ip = ctx.header(Ipv4, 14);
  if (!ip) return TC.OK;
  if (ip.ttl > 9) l3CsumReplace(ctx, 24, 1n, 2n, 2n);
  ip.ttl = 8;
  return TC.OK;
});
