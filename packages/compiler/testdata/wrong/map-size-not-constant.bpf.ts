import { XDP, config, hash, i32, struct, u16, u32, u64, u8, xdp } from "@skep/bpf";
const Io = struct("Io", { a: u32, b: u16, c: u8, d: i32, e: u64 });
export const size = config("size", u32, 4);
export const m = hash("m", { key: u32, value: u32, maxEntries: size.value });
export const main = xdp("main", (ctx) => {
  const io = ctx.header(Io, 0);
  if (!io) return XDP.DROP;
  io.a = 1;
  return XDP.PASS;
});
