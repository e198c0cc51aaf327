import { u32, xdp } from "@skep/bpf";
function down(n: u32): u32 {
  return n === 0 ? 0 : down(n - 1);
}
export const main = xdp("main", (ctx) => down(ctx.ingressIfindex));
