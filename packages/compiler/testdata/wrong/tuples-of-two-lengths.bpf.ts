import { tc, type u32 } from "@skep/bpf";
const pair = (long: boolean): readonly u32[] => (long ? [1, 2, 3] : [1, 2]);
export const main = tc("main", (ctx) => pair(ctx.length > 4)[0] ?? 0);
