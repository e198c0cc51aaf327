// A structure of the kernel as text, every member by its name: what one prints when one does not know yet what one looks for.
import { config, iterator, seqPrintfBtf, u32 } from "@skep/bpf";
import type { bpf_iter__task } from "./kernel.js";

export const license = "GPL";
export const only = config("only", u32, 0);

export const show = iterator("show", "task", (ctx: bpf_iter__task) => {
  const task = ctx.task;
  if (!task || task.pid !== task.tgid || u32(task.tgid) !== only.value) return 0;
  // Compact, and without what is zero.
  seqPrintfBtf(ctx, task, 1n);
  return 0;
});
