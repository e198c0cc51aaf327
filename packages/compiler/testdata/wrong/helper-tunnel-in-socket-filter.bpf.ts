import { socketFilter, skbGetTunnelKey, struct, u32 } from "@skep/bpf";
export const license = "GPL";
const K = struct("K", { id: u32 });
export const main = socketFilter("main", (ctx) => {
  skbGetTunnelKey(ctx as never, K.zero(), 0n);
  return 1;
});
