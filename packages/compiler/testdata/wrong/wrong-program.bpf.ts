import { XDP, redirectPeer, xdp } from "@skep/bpf";
export const main = xdp("main", (ctx) => {
  return redirectPeer(3, 0n);
  return XDP.PASS;
});
