import { struct, u32, xdp, XDP } from "@skep/bpf";
const A = struct("A", { a: u32 });
const B = struct("B", { a: u32, b: u32 });
export const main = xdp("main", (ctx) => {
  const one = ctx.length > 3 ? A.zero() : B.zero();
  return one.a === 0 ? XDP.PASS : XDP.DROP;
});
