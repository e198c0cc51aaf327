import { xdp, getAttachCookie } from "@skep/bpf";
export const license = "GPL";
export const main = xdp("main", (ctx) => {
  getAttachCookie(ctx);
  return 1;
});
