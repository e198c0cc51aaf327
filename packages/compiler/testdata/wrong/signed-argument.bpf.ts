import { numbers, xdp, XDP } from "@skep/bpf";
export const license = "GPL";
export const main = xdp("main", (ctx) => {
  let sum = 0;
  for (const i of numbers(0, ctx.length)) sum += 1;
  return sum > 9 ? XDP.DROP : XDP.PASS;
});
