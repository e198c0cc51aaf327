import { xdp, redirectPeer } from "@skep/bpf";
export const license = "GPL";
export const main = xdp("main", (ctx) => {
  redirectPeer(1, 0n);
  return 1;
});
