import { u32, xdp, XDP } from "@skep/bpf";
let count: u32 = 0;
export const main = xdp("main", () => {
  count += 1;
  return count > 5 ? XDP.DROP : XDP.PASS;
});
