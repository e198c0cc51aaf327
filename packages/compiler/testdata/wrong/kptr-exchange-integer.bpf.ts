import { array, kptrXchg, struct, tc, u64 } from "@skep/bpf";
const Slot = struct("Slot", { count: u64 });
export const slots = array("slots", { value: Slot, maxEntries: 1 });
export const main = tc("main", () => {
  const slot = slots.get(0);
  if (slot) kptrXchg(slot, "count", 1n);
  return 0;
});
