import { XDP, xdp } from "@skep/bpf";
export const main = xdp("main", (ctx) => {
  const n = 2 ** ctx.length;
  if (n > 3) return XDP.DROP;
  return XDP.PASS;
});
