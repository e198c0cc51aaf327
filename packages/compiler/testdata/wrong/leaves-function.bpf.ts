import { assert, subprogram, u32, xdp, XDP } from "@skep/bpf";
const check = subprogram((value: u32): u32 => {
  assert(value > 4, XDP.DROP);
  return value;
});
export const main = xdp("main", (ctx) => check(ctx.length));
