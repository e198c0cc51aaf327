import { seqPrint, tc } from "@skep/bpf";
export const license = "GPL";
export const main = tc("main", (ctx) => {
  seqPrint(ctx)`${ctx.length}`;
  return 0;
});
