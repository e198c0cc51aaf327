import { struct, u16, u32, u8, xdp, XDP } from "@skep/bpf";
const Io = struct("Io", { a: u32, b: u16, c: u8 });
export const main = xdp("main", (ctx) => {
  const io = ctx.header(Io, 0);
  if (!io) return XDP.DROP;
  io.c = 300;
  io.b = io.a + 1;
  const wrong = io.a << 40;
  io.a = wrong + 1;
  if (io.c === 999) return XDP.DROP;
  return XDP.PASS;
});
