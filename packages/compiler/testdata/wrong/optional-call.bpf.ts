import { xdp, XDP } from "@skep/bpf";
export const main = xdp("main", (ctx) => {
  const run = ctx.length > 3 ? (): number => XDP.DROP : undefined;
  return run?.() ?? XDP.PASS;
});
