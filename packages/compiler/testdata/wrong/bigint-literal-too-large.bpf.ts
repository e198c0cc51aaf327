import { xdp, XDP, type u64 } from "@skep/bpf";
export const main = xdp("main", (ctx) => {
  const big: u64 = 0x1_0000_0000_0000_0000n;
  return XDP.PASS;
});
