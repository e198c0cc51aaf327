import { array, kptr, struct, tc, u32 } from "@skep/bpf";
const Node = struct("Node", { key: u32 });
const Slot = struct("Slot", { node: kptr(Node) });
export const slots = array("slots", { value: Slot, maxEntries: 1 });
export const main = tc("main", () => {
  const slot = slots.get(0);
  if (!slot?.node) return 1;
  return slot.node.key;
});
