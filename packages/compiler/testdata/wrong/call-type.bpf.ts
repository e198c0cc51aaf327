import { struct, u32, xdp } from "@skep/bpf";
const A = struct("A", { a: u32 });
export const main = xdp("main", () => (A as unknown as () => number)());
