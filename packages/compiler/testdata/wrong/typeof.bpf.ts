import { XDP, xdp } from "@skep/bpf";
export const main = xdp("main", (ctx) => {
  const t = typeof ctx;
  if (t === "object") return XDP.DROP;
  return XDP.PASS;
});
