import { array, kptr, struct } from "@skep/bpf";
const Slot = struct("Slot", { task: kptr() });
export const slots = array("slots", { value: Slot, maxEntries: 1 });
