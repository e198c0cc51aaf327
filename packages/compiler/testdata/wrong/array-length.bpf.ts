import { XDP, array, struct, u32, xdp } from "@skep/bpf";
const A = struct("A", { list: array(u32, -1) });
export const main = xdp("main", (ctx) => {
  if (A.size > 4) return XDP.DROP;
  return XDP.PASS;
});
