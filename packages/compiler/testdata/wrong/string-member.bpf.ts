import { xdp, XDP } from "@skep/bpf";
export const main = xdp("main", (ctx) => {
  const text = "abc"; const x = text.charCodeAt(0);
  return XDP.PASS;
});
