import { xdp, XDP } from "@skep/bpf";
export const main = xdp("main", (ctx) => {
  const value = { [ctx.length]: 1 };
  return XDP.PASS;
});
