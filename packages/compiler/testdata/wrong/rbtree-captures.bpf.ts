import { array, objNew, RbNode, rbRoot, rbtreeAdd, SpinLock, spinLock, spinUnlock, struct, tc, u64 } from "@skep/bpf";
export const license = "GPL";
const Node = struct("Node", { key: u64, node: RbNode });
const Tree = struct("Tree", { lock: SpinLock, root: rbRoot(Node, "node") });
export const trees = array("trees", { value: Tree, maxEntries: 1 });
export const main = tc("main", (ctx) => {
  const tree = trees.get(0);
  const node = objNew(Node);
  if (!tree || !node) return 1;
  const middle = ctx.timestamp;
  spinLock(tree.lock);
  rbtreeAdd(tree.root, node, (a, b) => a.key + middle < b.key);
  spinUnlock(tree.lock);
  return 0;
});
