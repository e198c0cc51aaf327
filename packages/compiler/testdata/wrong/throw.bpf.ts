import { XDP, xdp } from "@skep/bpf";
export const main = xdp("main", (ctx) => {
  if (ctx.length > 100) throw 1;
  return XDP.PASS;
});
