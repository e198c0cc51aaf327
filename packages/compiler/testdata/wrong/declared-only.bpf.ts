import { xdp } from "@skep/bpf";
declare const outside: number;
export const main = xdp("main", () => outside);
