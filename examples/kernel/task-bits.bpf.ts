// Bit fields of the kernel's structures: wherever they lie in the running kernel, and how wide they are there.
import { i32, kernelPointer, addressOf, struct, syscall, u32 } from "@skep/bpf";
import { bpf_task_from_pid, bpf_task_release, type task_struct } from "./kernel.js";

export const license = "GPL";
export const Question = struct("Question", { pid: i32, trusted: u32, probed: u32, policy: u32 });

/** Whether what the task starts gets an ordinary priority again (chrt --reset-on-fork). */
export const ask = syscall("ask", Question, (question) => {
  const task = bpf_task_from_pid(question.pid);
  if (!task) return 1;
  question.trusted = task.sched_reset_on_fork;
  // No bit field in any kernel of today: that makes no difference.
  question.policy = task.policy;
  const same = kernelPointer<task_struct>(addressOf(task));
  if (same) question.probed = same.sched_reset_on_fork;
  bpf_task_release(task);
  return 0;
});
