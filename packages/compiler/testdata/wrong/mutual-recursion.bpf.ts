import { subprogram, u32, xdp } from "@skep/bpf";
const even = subprogram((n: u32): u32 => (n === 0 ? 1 : odd(n - 1)));
function odd(n: u32): u32 {
  return n === 0 ? 0 : even(n - 1);
}
export const main = xdp("main", (ctx) => even(ctx.ingressIfindex));
