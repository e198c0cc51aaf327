import { array, ListNode, rbRoot, SpinLock, struct, u64 } from "@skep/bpf";
const Node = struct("Node", { key: u64, node: ListNode });
const Tree = struct("Tree", { lock: SpinLock, root: rbRoot(Node, "node") });
export const trees = array("trees", { value: Tree, maxEntries: 1 });
