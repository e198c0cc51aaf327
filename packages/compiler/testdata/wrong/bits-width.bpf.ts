import { XDP, bits, struct, u8, xdp } from "@skep/bpf";
const A = struct("A", { f: bits(u8, 9) });
export const main = xdp("main", (ctx) => {
  if (A.size > 4) return XDP.DROP;
  return XDP.PASS;
});
