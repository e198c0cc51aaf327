import { xdp, getStack, struct, u64 } from "@skep/bpf";
export const license = "GPL";
const S = struct("S", { at: u64 });
export const main = xdp("main", (ctx) => {
  getStack(ctx, S.zero(), 0n);
  return 1;
});
