import { xdp, skbStoreBytes, struct, u8 } from "@skep/bpf";
export const license = "GPL";
const B = struct("B", { value: u8 });
export const main = xdp("main", (ctx) => {
  skbStoreBytes(ctx as never, 0, B.zero(), 0n);
  return 1;
});
