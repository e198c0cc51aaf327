import { xdp, skbVlanPop } from "@skep/bpf";
export const license = "GPL";
export const main = xdp("main", (ctx) => {
  skbVlanPop(ctx as never);
  return 1;
});
