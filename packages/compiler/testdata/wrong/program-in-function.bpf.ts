import { xdp, XDP } from "@skep/bpf";
export const main = xdp("main", (ctx) => {
  const inner = xdp("inner", () => XDP.DROP);
  return inner ? XDP.PASS : XDP.DROP;
});
