import { xdp, XDP, type u32 } from "@skep/bpf";
export const main = xdp("main", (ctx) => {
  const low: u32 = 0 - 5;
  return XDP.PASS;
});
