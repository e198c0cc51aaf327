import { XDP, xdp } from "@skep/bpf";
export const main = xdp("main", (ctx) => {
  for (const key in { a: 1 }) return XDP.DROP;
  return XDP.PASS;
});
