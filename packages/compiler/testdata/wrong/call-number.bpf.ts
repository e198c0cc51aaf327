import { XDP, xdp } from "@skep/bpf";
export const main = xdp("main", (ctx) => {
  const f = 3;
  f();
  return XDP.PASS;
});
