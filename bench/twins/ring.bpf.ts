// Puts one record of 64 bytes into a ring for each run, and counts those that found it full.
import { array, percpuArray, ringBuf, struct, tc, TC, u32, u64 } from "@skep/bpf";

const Record = struct("Record", { sequence: u64, first: u32, second: u32, rest: array(u64, 6) });

export const records = ringBuf("records", Record, { bytes: 1 << 25 });
/** Records made (0) and lost (1). */
export const counts = percpuArray("counts", { value: u64, maxEntries: 2 });

export const fill = tc("fill", () => {
  const made = counts.ref(0);
  if (!made) return TC.OK;
  const sequence = made.value;
  made.value = sequence + 1n;
  const record = records.reserve();
  if (!record) {
    const lost = counts.ref(1);
    if (lost) lost.value += 1n;
    return TC.OK;
  }
  record.sequence = sequence;
  record.first = u32(sequence);
  record.second = 1;
  records.submit(record);
  return TC.OK;
});
