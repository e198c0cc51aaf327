import { xdp, XDP } from "@skep/bpf";
export const main = xdp("main", (ctx) => {
  function* count() { yield 1; } count();
  return XDP.PASS;
});
