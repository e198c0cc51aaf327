import { xdp, storeHdrOpt, struct, u8 } from "@skep/bpf";
export const license = "GPL";
const B = struct("B", { value: u8 });
export const main = xdp("main", (ctx) => {
  storeHdrOpt(ctx as never, B.zero(), 0n);
  return 1;
});
