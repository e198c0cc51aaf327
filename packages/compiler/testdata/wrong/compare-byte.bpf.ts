import { xdp, XDP, u8 } from "@skep/bpf";
export const main = xdp("main", (ctx) => {
  const byte = u8(ctx.length); const same = byte > 256;
  return XDP.PASS;
});
