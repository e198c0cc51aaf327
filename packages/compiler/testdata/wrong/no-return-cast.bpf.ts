import { xdp } from "@skep/bpf";
export const main = xdp("main", ((): void => {}) as never);
