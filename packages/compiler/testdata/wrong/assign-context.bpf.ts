import { XDP, xdp } from "@skep/bpf";
export const main = xdp("main", (ctx) => {
  ctx.ingressIfindex = 3;
  return XDP.PASS;
});
