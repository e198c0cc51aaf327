import { xdp, XDP } from "@skep/bpf";
export const main = xdp("main", (ctx) => {
  const n: string = ctx.length;
  return XDP.PASS;
});
