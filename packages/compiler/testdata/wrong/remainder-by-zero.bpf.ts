import { xdp, XDP } from "@skep/bpf";
export const main = xdp("main", (ctx) => {
  const rest = ctx.length % 0;
  return rest;
});
