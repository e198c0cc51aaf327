import { xdp, skAssign } from "@skep/bpf";
export const license = "GPL";
export const main = xdp("main", (ctx) => {
  skAssign(ctx, null as never, 0n);
  return 1;
});
