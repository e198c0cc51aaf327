import { XDP, u32, xdp } from "@skep/bpf";
export const main = xdp("main", (ctx) => {
  return u32(ctx as unknown as number);
  return XDP.PASS;
});
