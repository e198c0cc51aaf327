import { xdp, XDP } from "@skep/bpf";
export const main = xdp("main", (ctx) => {
  const all = [...ctx.length];
  return XDP.PASS;
});
