import { xdp, skbLoadBytes, struct, u8 } from "@skep/bpf";
export const license = "GPL";
const B = struct("B", { value: u8 });
export const main = xdp("main", (ctx) => {
  skbLoadBytes(ctx, 0, B.zero());
  return 1;
});
