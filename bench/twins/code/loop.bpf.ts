// The sum over a table's entries that are in use, by the kernel's loop.
import { array, loop, struct, u32, u64, xdp, XDP } from "@skep/bpf";

export const license = "GPL";

const ENTRIES = 64;
const Entry = struct("Entry", { used: u32, weight: u32 });
export const entries = array("entries", { value: Entry, maxEntries: ENTRIES });
export const total = array("total", { value: u64, maxEntries: 1 });

export const run = xdp("run", () => {
  let sum = 0n;
  let count: u32 = 0;
  loop(ENTRIES, (index) => {
    const entry = entries.get(index);
    if (!entry) return true;
    if (entry.used !== 0) {
      sum += u64(entry.weight);
      count += 1;
    }
    return false;
  });
  const kept = total.ref(0);
  if (kept) kept.value = (sum << 8n) | u64(count);
  return count > 16 ? XDP.PASS : XDP.DROP;
});
