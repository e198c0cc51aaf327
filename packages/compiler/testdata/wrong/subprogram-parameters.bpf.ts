import { subprogram, u32, xdp } from "@skep/bpf";
const six = subprogram((a: u32, b: u32, c: u32, d: u32, e: u32, f: u32): u32 => a + b + c + d + e + f);
export const main = xdp("main", (ctx) => six(1, 2, 3, 4, 5, ctx.length));
