import { xdp, XDP, type u32 } from "@skep/bpf";
export const main = xdp("main", (ctx) => {
  const big: u32 = 4294967296 * 2;
  return XDP.PASS;
});
