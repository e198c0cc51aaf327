import { XDP, hash, i32, struct, u16, u32, u64, u8, xdp } from "@skep/bpf";
const Io = struct("Io", { a: u32, b: u16, c: u8, d: i32, e: u64 });
const V = struct("V", { a: u32 });
export const m = hash("m", { key: u32, value: V, maxEntries: 4 });
export const main = xdp("main", (ctx) => {
  const io = ctx.header(Io, 0);
  if (!io) return XDP.DROP;
  const v = m.get(io.a);
  io.a = v.a;
  return XDP.PASS;
});
