import { cgroupSkbEgress, fibLookup, struct, u32 } from "@skep/bpf";
export const license = "GPL";
const F = struct("F", { family: u32 });
export const main = cgroupSkbEgress("main", (ctx) => {
  fibLookup(ctx, F.zero(), 0);
  return 1;
});
