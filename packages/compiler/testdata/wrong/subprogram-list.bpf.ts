import { subprogram, u32, xdp, XDP } from "@skep/bpf";
const sum = subprogram((list: readonly u32[]): u32 => list[0]!);
export const main = xdp("main", (ctx) => (sum([ctx.length, 2]) > 3 ? XDP.DROP : XDP.PASS));
