import { getSocketCookie, xdp, XDP } from "@skep/bpf";
export const main = xdp("main", (ctx) => (getSocketCookie(ctx) > 0n ? XDP.DROP : XDP.PASS));
