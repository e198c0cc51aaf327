import { xdp, XDP, u64 } from "@skep/bpf";
export const main = xdp("main", (ctx) => {
  const sum = u64(ctx.length) + ctx.length;
  return XDP.PASS;
});
