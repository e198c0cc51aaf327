import { tc, xdpAdjustHead } from "@skep/bpf";
export const license = "GPL";
export const main = tc("main", (ctx) => {
  xdpAdjustHead(ctx as never, 4);
  return 1;
});
