import { array, ListNode, listHead, listPushBack, objNew, SpinLock, struct, tc, u64 } from "@skep/bpf";
export const license = "GPL";
const A = struct("A", { key: u64, node: ListNode });
const B = struct("B", { key: u64, node: ListNode });
const List = struct("List", { lock: SpinLock, head: listHead(A, "node") });
export const lists = array("lists", { value: List, maxEntries: 1 });
export const main = tc("main", () => {
  const list = lists.get(0);
  const other = objNew(B);
  if (!list || !other) return 1;
  listPushBack(list.head, other);
  return 0;
});
