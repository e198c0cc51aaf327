import { cgroupRecvmsg4 } from "@skep/bpf";
export const main = cgroupRecvmsg4("main", (ctx) => {
  if (ctx.userPort === 80) return 0;
  return 1;
});
