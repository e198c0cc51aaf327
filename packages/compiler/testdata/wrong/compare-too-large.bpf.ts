import { xdp, XDP } from "@skep/bpf";
export const main = xdp("main", (ctx) => {
  const same = (ctx.length & 0xff) === 5000000000;
  return XDP.PASS;
});
