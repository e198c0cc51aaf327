import { XDP, xdp } from "@skep/bpf";
export const main = xdp("main", (ctx) => {
  if (ctx.length > 64) return;
  return XDP.PASS;
});
