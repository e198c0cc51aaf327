import { objDrop, objNew, struct, tc, thisCpuPtr, u64 } from "@skep/bpf";
export const license = "GPL";
const Node = struct("Node", { key: u64 });
export const main = tc("main", () => {
  const node = objNew(Node);
  if (!node) return 1;
  thisCpuPtr(node);
  objDrop(node);
  return 0;
});
