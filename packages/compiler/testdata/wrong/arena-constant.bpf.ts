import { arena, struct, tc, u32 } from "@skep/bpf";
export const heap = arena("heap", { pages: 1 });
const Node = struct("Node", { value: u32 });
export const main = tc("main", () => heap.at(Node, 4096n)?.value ?? 0);
