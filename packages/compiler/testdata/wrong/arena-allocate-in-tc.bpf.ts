import { arena, tc } from "@skep/bpf";
export const heap = arena("heap", { pages: 1 });
export const main = tc("main", () => (heap.allocate(1) === 0n ? 1 : 0));
