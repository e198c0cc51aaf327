import { tc } from "@skep/bpf";
export const main = tc("main", (ctx) => {
  ctx.length = 4;
  return 0;
});
