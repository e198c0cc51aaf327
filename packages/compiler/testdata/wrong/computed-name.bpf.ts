import { xdp, XDP } from "@skep/bpf";
export const main = xdp("main", (ctx) => {
  const name = "a"; const value = { [name]: 1 };
  return XDP.PASS;
});
