import { xdp, XDP } from "@skep/bpf";
export const main = xdp("main", (ctx) => {
  const has = "a" in { a: 1 };
  return XDP.PASS;
});
