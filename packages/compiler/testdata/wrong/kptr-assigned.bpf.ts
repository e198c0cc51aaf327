import { array, kptr, objNew, struct, tc, u64 } from "@skep/bpf";
export const license = "GPL";
const Node = struct("Node", { key: u64 });
const Slot = struct("Slot", { node: kptr(Node) });
export const slots = array("slots", { value: Slot, maxEntries: 1 });
export const main = tc("main", () => {
  const slot = slots.get(0);
  if (!slot) return 1;
  slot.node = objNew(Node);
  return 0;
});
