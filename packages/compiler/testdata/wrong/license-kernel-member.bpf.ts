import { iterator } from "@skep/bpf";
interface task_struct {
  readonly "~btf"?: "struct task_struct";
  pid: number & { readonly "~int"?: "i32" };
}
interface bpf_iter__task {
  readonly "~btf"?: "struct bpf_iter__task";
  task: task_struct | null;
}
export const list = iterator("list", "task", (ctx: bpf_iter__task) => {
  if (ctx.task && ctx.task.pid === 1) return 1;
  return 0;
});
