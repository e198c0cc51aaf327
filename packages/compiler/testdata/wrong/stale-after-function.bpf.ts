import { tc, TC, skbStoreBytes, type TcContext, u8 } from "@skep/bpf";
import { Ipv4 } from "@skep/bpf/net";
function rewrite(ctx: TcContext, value: u8): void {
  skbStoreBytes(ctx, 22, value, 0n);
}
export const main = tc("main", (ctx) => {
  const ip = ctx.header(Ipv4, 14);
  if (!ip) return TC.OK;
  rewrite(ctx, 3);
  return ip.ttl === 3 ? TC.OK : TC.SHOT;
});
