import { xdp, XDP } from "@skep/bpf";
export const main = xdp("main", (ctx) => {
  const found = /a/.test("a");
  return XDP.PASS;
});
