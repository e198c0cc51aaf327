import { xdp, XDP } from "@skep/bpf";
export const main = xdp("main", (ctx) => {
  const value: { a?: number } = { a: 1 }; delete value.a;
  return XDP.PASS;
});
