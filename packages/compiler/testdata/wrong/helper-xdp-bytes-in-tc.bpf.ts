import { tc, xdpLoadBytes, struct, u8 } from "@skep/bpf";
export const license = "GPL";
const B = struct("B", { value: u8 });
export const main = tc("main", (ctx) => {
  xdpLoadBytes(ctx as never, 0, B.zero());
  return 1;
});
