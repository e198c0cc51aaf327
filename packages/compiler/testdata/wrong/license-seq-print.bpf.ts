import { iterator, seqPrint } from "@skep/bpf";
interface bpf_iter__task { readonly "~btf"?: "struct bpf_iter__task" }
export const main = iterator("main", "task", (ctx: bpf_iter__task) => {
  seqPrint(ctx)`one\n`;
  return 0;
});
