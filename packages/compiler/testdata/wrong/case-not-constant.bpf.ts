import { xdp, XDP } from "@skep/bpf";
export const main = xdp("main", (ctx) => {
  switch (ctx.ingressIfindex) {
    case ctx.rxQueueIndex:
      return XDP.DROP;
    default:
      return XDP.PASS;
  }
});
