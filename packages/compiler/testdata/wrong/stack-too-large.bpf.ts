import { XDP, array, struct, u8, xdp } from "@skep/bpf";
const Big = struct("Big", { bytes: array(u8, 1000) });
export const main = xdp("main", (ctx) => {
  const big = Big.zero();
  big.bytes[0] = 1;
  return XDP.PASS;
});
