import { xdp, XDP } from "@skep/bpf";
export const half = xdp("half", (ctx) => {
  if (ctx.length > 100) return XDP.DROP;
});
export const word = xdp("word", (ctx) => {
  return ctx.length > 100 ? "drop" : "pass";
});
export const truth = xdp("truth", (ctx) => ctx.length > 100);
