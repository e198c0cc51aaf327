import { xdp, XDP, type u8 } from "@skep/bpf";
export const main = xdp("main", (ctx) => {
  const twice: u8 = ctx.rxQueueIndex * 2;
  return XDP.PASS;
});
