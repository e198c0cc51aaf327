import { xdp, XDP } from "@skep/bpf";
export const a = xdp("same", () => XDP.PASS);
export const b = xdp("same", () => XDP.DROP);
