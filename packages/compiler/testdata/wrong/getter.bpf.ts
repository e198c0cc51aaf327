import { xdp, XDP } from "@skep/bpf";
export const main = xdp("main", (ctx) => {
  const value = { get a() { return 1; } };
  return XDP.PASS;
});
