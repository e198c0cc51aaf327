import { loop, xdp, XDP } from "@skep/bpf";
export const main = xdp("main", (ctx) => {
  const o = { a: ctx.length };
  loop(3, () => o.a > 64);
  return XDP.PASS;
});
