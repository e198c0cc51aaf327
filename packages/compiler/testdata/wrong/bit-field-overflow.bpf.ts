import { XDP, bits, struct, u32, u8, xdp } from "@skep/bpf";
const Io = struct("Io", { low: bits(u8, 3), high: bits(u8, 5) });
export const main = xdp("main", (ctx) => {
  const io = ctx.header(Io, 0);
  if (!io) return XDP.DROP;
  io.low = io.high + 1;
  return XDP.PASS;
});
