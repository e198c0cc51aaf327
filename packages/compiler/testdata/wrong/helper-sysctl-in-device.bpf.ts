import { cgroupDevice, sysctlGetName, struct, u64 } from "@skep/bpf";
export const license = "GPL";
const S = struct("S", { at: u64 });
export const main = cgroupDevice("main", (ctx) => {
  sysctlGetName(ctx as never, S.zero(), 0n);
  return 1;
});
