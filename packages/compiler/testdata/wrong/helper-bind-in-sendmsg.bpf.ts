import { cgroupSendmsg4, bind, struct, u32 } from "@skep/bpf";
export const license = "GPL";
const A = struct("A", { family: u32 });
export const main = cgroupSendmsg4("main", (ctx) => {
  bind(ctx, A.zero());
  return 1;
});
