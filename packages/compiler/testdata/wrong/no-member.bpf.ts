import { XDP, xdp } from "@skep/bpf";
export const main = xdp("main", (ctx) => {
  if (ctx.nothing > 3) return XDP.DROP;
  return XDP.PASS;
});
