import { objDrop, objNew, struct, tc, u64 } from "@skep/bpf";
export const license = "GPL";
const Node = struct("Node", { key: u64 });
export const main = tc("main", () => {
  const node = objNew(Node);
  objDrop(node as { key: bigint });
  return 0;
});
