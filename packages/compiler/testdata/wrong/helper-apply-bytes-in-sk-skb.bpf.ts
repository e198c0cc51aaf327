import { skSkbVerdict, msgApplyBytes } from "@skep/bpf";
export const license = "GPL";
export const main = skSkbVerdict("main", (ctx) => {
  msgApplyBytes(ctx as never, 1);
  return 1;
});
