import { objDrop, objNew, socketFilter, struct, u64 } from "@skep/bpf";
const Node = struct("Node", { key: u64 });
export const main = socketFilter("main", () => {
  const node = objNew(Node);
  if (node) objDrop(node);
  return 0;
});
