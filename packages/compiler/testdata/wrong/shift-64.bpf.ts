import { xdp, XDP, u64 } from "@skep/bpf";
export const main = xdp("main", (ctx) => {
  const far = u64(ctx.length) << 64n;
  return XDP.PASS;
});
