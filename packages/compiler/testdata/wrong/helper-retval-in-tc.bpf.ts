import { tc, setRetval } from "@skep/bpf";
export const license = "GPL";
export const main = tc("main", (ctx) => {
  setRetval(-1);
  return 1;
});
