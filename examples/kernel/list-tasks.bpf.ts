// The processes of this host as a file to read: one line each, made by the kernel as it is read.
import { config, iterator, seqPrint, u32 } from "@skep/bpf";
import type { bpf_iter__task, bpf_iter__task_file } from "./kernel.js";

export const license = "GPL";
export const only = config("only", u32, 0);

export const processes = iterator("processes", "task", (ctx: bpf_iter__task) => {
  const task = ctx.task;
  // Threads have another pid than their process.
  if (!task || task.pid !== task.tgid) return 0;
  if (only.value !== 0 && u32(task.tgid) !== only.value) return 0;
  seqPrint(ctx)`${task.tgid} ${task.real_parent?.tgid ?? 0} ${task.comm}\n`;
  return 0;
});

export const files = iterator("files", "task_file", (ctx: bpf_iter__task_file) => {
  if (ctx.task && ctx.file) seqPrint(ctx)`${ctx.task.tgid} ${ctx.fd}\n`;
  return 0;
});
