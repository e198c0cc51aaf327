// Ends a program before its first instruction, where its name is on a list: enforcement without security modules.
import { array, hash, probeReadKernelStr, sendSignal, addressOf, struct, tpBtf, u64, u8 } from "@skep/bpf";
import type { task_struct } from "./kernel.js";

export const license = "GPL";
const Name = struct("Name", { text: array(u8, 16) });
export const forbidden = hash("forbidden", { key: Name, value: u64, maxEntries: 64 });
const SIGKILL = 9;

export const guard = tpBtf("guard", "sched_process_exec", (task: task_struct) => {
  const name = Name.zero();
  probeReadKernelStr(name.text, addressOf(task.comm));
  const hits = forbidden.ref(name);
  if (!hits) return 0;
  hits.value += 1n;
  sendSignal(SIGKILL);
  return 0;
});
