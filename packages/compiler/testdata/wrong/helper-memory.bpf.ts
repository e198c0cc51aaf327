import { skbLoadBytes, tc, TC } from "@skep/bpf";
export const main = tc("main", (ctx) => {
  skbLoadBytes(ctx, 0, "text");
  return TC.OK;
});
