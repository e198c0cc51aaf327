import { xdp } from "@skep/bpf";
export const main = xdp("main", () => missing);
