import { xdp, XDP } from "@skep/bpf";
export class Thing {}
export const main = xdp("main", () => XDP.PASS);
