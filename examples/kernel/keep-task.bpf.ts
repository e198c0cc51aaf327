// A task that is held in a map's value, with counters per CPU beside it, and work that is left to a thread of the kernel.
import {
  array,
  getCurrentTaskBtf,
  global,
  i32,
  kptr,
  kptrXchg,
  percpuKptr,
  percpuObjDrop,
  percpuObjNew,
  perCpuPtr,
  range,
  rcuReadLock,
  rcuReadUnlock,
  ResSpinLock,
  resSpinLock,
  resSpinUnlock,
  struct,
  syscall,
  thisCpuPtr,
  u32,
  u64,
  WorkQueue,
  wqInit,
  wqSetCallback,
  wqStart,
} from "@skep/bpf";
import { bpf_task_acquire, bpf_task_release, type task_struct } from "./kernel.js";

export const license = "GPL";
const Calls = struct("Calls", { count: u64 });
const Kept = struct("Kept", {
  task: kptr<task_struct>(),
  calls: percpuKptr(Calls),
  lock: ResSpinLock,
  held: u32,
  work: WorkQueue,
});
export const kept = array("kept", { value: Kept, maxEntries: 1 });
export const worked = global("worked", u64);
export const Answer = struct("Answer", { pid: i32, held: u32, calls: u64 });

/** Keeps the calling task in place of the one before. */
export const keep = syscall("keep", Answer, (answer) => {
  const slot = kept.get(0);
  if (!slot) return 1;
  const task = bpf_task_acquire(getCurrentTaskBtf<task_struct>());
  if (!task) return 2;
  const before = kptrXchg(slot, "task", task);
  if (before) {
    answer.pid = before.pid;
    bpf_task_release(before);
  }
  const fresh = percpuObjNew(Calls);
  if (!fresh) return 3;
  const old = kptrXchg(slot, "calls", fresh);
  if (old) percpuObjDrop(old);
  if (resSpinLock(slot.lock) !== 0) return 4;
  slot.held += 1;
  answer.held = slot.held;
  resSpinUnlock(slot.lock);
  return 0;
});

/** Who is kept, and how often it was asked on all CPUs: this time too. */
export const ask = syscall("ask", Answer, (answer) => {
  const slot = kept.get(0);
  if (!slot) return 1;
  rcuReadLock();
  const task = slot.task;
  if (task) answer.pid = task.tgid;
  const calls = slot.calls;
  if (calls) {
    thisCpuPtr(calls).count += 1n;
    for (const cpu of range(64)) {
      const other = perCpuPtr(calls, cpu);
      if (!other) break;
      answer.calls += other.count;
    }
  }
  rcuReadUnlock();
  return 0;
});

/** Lets go of it later, where one may sleep. */
export const release = syscall("release", Answer, () => {
  const slot = kept.get(0);
  if (!slot || wqInit(slot.work, kept) !== 0) return 1;
  wqSetCallback(slot.work, kept, (_index, value) => {
    const task = kptrXchg(value, "task", null);
    if (task) bpf_task_release(task);
    worked.value += 1n;
  });
  return wqStart(slot.work) === 0 ? 0 : 2;
});
