import { xdp, XDP } from "@skep/bpf";
export const main = xdp("main", (ctx) => {
  const value = { a: 1 }; const sum = value + 1;
  return XDP.PASS;
});
