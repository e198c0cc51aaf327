import { objDrop, objNew, refcountAcquire, struct, tc, u64 } from "@skep/bpf";
export const license = "GPL";
const Node = struct("Node", { key: u64 });
export const main = tc("main", () => {
  const node = objNew(Node);
  if (!node) return 1;
  const second = refcountAcquire(node);
  if (second) objDrop(second);
  objDrop(node);
  return 0;
});
