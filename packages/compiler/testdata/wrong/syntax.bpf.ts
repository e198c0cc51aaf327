import { xdp, XDP } from "@skep/bpf";
export const main = xdp("main", (ctx) => {
  if (ctx.length > ) return XDP.DROP;
  return XDP.PASS;
});
