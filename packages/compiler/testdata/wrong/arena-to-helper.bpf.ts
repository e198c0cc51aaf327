import { arena, skbLoadBytes, struct, tc, u32 } from "@skep/bpf";
export const heap = arena("heap", { pages: 1 });
const Node = struct("Node", { value: u32 });
export const main = tc("main", (ctx) => {
  const node = heap.at(Node, ctx.timestamp);
  if (node) skbLoadBytes(ctx, 0, node);
  return 0;
});
