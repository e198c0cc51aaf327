// How long each system call takes, as a histogram: the task's own storage keeps when it began.
import { array, config, getCurrentTaskBtf, ktimeGetNs, struct, taskStorage, tpBtf, u32, u64 } from "@skep/bpf";
import { log2 } from "@skep/bpf/stats";
import type { task_struct } from "./kernel.js";

export const license = "GPL";
export const process = config("process", u32, 0);
const Begun = struct("Begun", { at: u64, call: u64 });
export const begun = taskStorage("begun", { value: Begun });
/** Nanoseconds by powers of two. */
export const histogram = array("histogram", { value: u64, maxEntries: 64 });

export const enter = tpBtf("enter", "sys_enter", (_registers: u64, call: u64) => {
  const task = getCurrentTaskBtf<task_struct>();
  if (u32(task.tgid) !== process.value) return 0;
  const start = begun.get(task, true);
  if (start) {
    start.at = ktimeGetNs();
    start.call = call;
  }
  return 0;
});

export const exit = tpBtf("exit", "sys_exit", () => {
  const start = begun.get(getCurrentTaskBtf<task_struct>());
  if (!start || start.at === 0n) return 0;
  const slot = histogram.ref(log2(ktimeGetNs() - start.at));
  if (slot) slot.value += 1n;
  start.at = 0n;
  return 0;
});
