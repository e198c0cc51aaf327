import { xdp, XDP, i8, u8 } from "@skep/bpf";
export const main = xdp("main", (ctx) => {
  const low = i8(ctx.length) + u8(ctx.length);
  return XDP.PASS;
});
