import { arena, tc, u32 } from "@skep/bpf";
export const heap = arena("heap", { pages: 1 });
export const main = tc("main", (ctx) => (heap.at(u32 as never, 4096n) ? 1 : 0));
