import { struct, tc, xdpAdjustHead, type u8, type u16 } from "@skep/bpf";
import { Ipv4 } from "@skep/bpf/net";
export const main = tc("main", (ctx) => {
  const short: u8 = ctx.length * 2;
  const far = ctx.length << 32;
  const mixed: u16 = ctx.mark + 70000;
  xdpAdjustHead(ctx as never, 4);
  const ip = ctx.header(Ipv4, 70000);
  return ip ? 0 : 1;
});
