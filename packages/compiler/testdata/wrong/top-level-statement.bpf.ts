import { xdp, XDP } from "@skep/bpf";
for (const x of [1, 2]) x;
export const main = xdp("main", () => XDP.PASS);
