import { iterator, seqPrintfBtf, u32 } from "@skep/bpf";
interface bpf_iter__task {
  readonly "~btf"?: "struct bpf_iter__task";
  task: { readonly "~btf"?: "struct task_struct"; pid: u32 } | null;
}
export const license = "GPL";
export const main = iterator("main", "task", (ctx: bpf_iter__task) => {
  seqPrintfBtf(ctx, { a: 1 });
  return 0;
});
