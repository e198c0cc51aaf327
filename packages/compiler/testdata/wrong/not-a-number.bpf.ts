import { xdp, XDP } from "@skep/bpf";
export const main = xdp("main", (ctx) => {
  const text = "text"; const sum = text * 2;
  return XDP.PASS;
});
