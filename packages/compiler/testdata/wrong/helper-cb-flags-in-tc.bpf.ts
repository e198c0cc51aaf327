import { tc, sockOpsCbFlagsSet } from "@skep/bpf";
export const license = "GPL";
export const main = tc("main", (ctx) => {
  sockOpsCbFlagsSet(ctx as never, 1);
  return 1;
});
