import { xdp, XDP, type u16 } from "@skep/bpf";
export const main = xdp("main", (ctx) => {
  const total: u16 = ctx.length + 1;
  return XDP.PASS;
});
