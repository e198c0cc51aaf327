import { xdp, XDP } from "@skep/bpf";
export const main = xdp("main", (ctx) => {
  const list = new Array(3);
  return XDP.PASS;
});
