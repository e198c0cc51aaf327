import { xdp, XDP, i32, u32 } from "@skep/bpf";
export const main = xdp("main", (ctx) => {
  const chosen = ctx.length > 4 ? i32(ctx.length) : u32(ctx.length);
  return XDP.PASS;
});
