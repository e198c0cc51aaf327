import { array, objDrop, struct, tc, u64 } from "@skep/bpf";
const Node = struct("Node", { key: u64 });
export const nodes = array("nodes", { value: Node, maxEntries: 1 });
export const main = tc("main", () => {
  const node = nodes.get(0);
  if (node) objDrop(node);
  return 0;
});
