import { XDP, xdp } from "@skep/bpf";
export const main = xdp("main", (ctx) => {
  class A {}
  return XDP.DROP;
  return XDP.PASS;
});
