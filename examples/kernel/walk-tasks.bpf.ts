// Tasks, threads, cgroups and mapped areas in one run of one program, by the kernel's own iterators.
import {
  areasOf,
  cgroupsOf,
  getCurrentTaskBtf,
  numbers,
  rcuReadLock,
  rcuReadUnlock,
  setBits,
  struct,
  syscall,
  tasks,
  threadsOf,
  u32,
  u64,
  array,
  i32,
} from "@skep/bpf";
import {
  bpf_cgroup_from_id,
  bpf_cgroup_release,
  bpf_task_from_pid,
  bpf_task_release,
  type cgroup_subsys_state,
  type task_struct,
  type vm_area_struct,
} from "./kernel.js";

export const license = "GPL";
export const Question = struct("Question", {
  pid: u32,
  cgroup: u64,
  processes: u32,
  threads: u32,
  areas: u32,
  below: u32,
  sum: u32,
  bits: u32,
});
const Words = struct("Words", { words: array(u64, 2) });

export const ask = syscall("ask", Question, (question) => {
  rcuReadLock();
  try {
    for (const task of tasks<task_struct>("processes")) {
      if (task.pid <= 0) continue;
      question.processes += 1;
    }
    const me = getCurrentTaskBtf<task_struct>();
    for (const thread of threadsOf<task_struct>(me)) if (thread.tgid === me.tgid) question.threads += 1;
  } finally {
    rcuReadUnlock();
  }
  let sum: u32 = 0;
  for (const number of numbers(0, 100)) {
    if (number === 50) break;
    sum += u32(number);
  }
  question.sum = sum;
  const set = { ...Words.zero(), words: [0b1011n, 1n] };
  for (const bit of setBits(set.words)) question.bits += u32(bit);
  return 0;
});

export const areas = syscall("areas", Question, (question) => {
  const task = bpf_task_from_pid(i32(question.pid));
  if (!task) return 1;
  for (const area of areasOf<vm_area_struct>(task, 0n)) if (area.vm_end > area.vm_start) question.areas += 1;
  bpf_task_release(task);
  return 0;
});

export const below = syscall("below", Question, (question) => {
  const group = bpf_cgroup_from_id(question.cgroup);
  if (!group) return 1;
  rcuReadLock();
  for (const state of cgroupsOf<cgroup_subsys_state>(group.self, "descendants_pre"))
    if (state.cgroup) question.below += 1;
  rcuReadUnlock();
  bpf_cgroup_release(group);
  return 0;
});
