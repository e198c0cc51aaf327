import { array, struct, syscall, u64, WorkQueue, wqInit, wqSetCallback } from "@skep/bpf";
export const license = "GPL";
const Slot = struct("Slot", { work: WorkQueue, count: u64 });
export const slots = array("slots", { value: Slot, maxEntries: 1 });
const A = struct("A", { by: u64 });
export const main = syscall("main", A, (a) => {
  const slot = slots.get(0);
  if (!slot || wqInit(slot.work, slots) !== 0) return 1;
  const by = a.by;
  return wqSetCallback(slot.work, slots, (_key, value) => {
    value.count += by;
  });
});
