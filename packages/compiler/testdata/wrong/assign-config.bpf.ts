import { XDP, config, i32, struct, u16, u32, u64, u8, xdp } from "@skep/bpf";
const Io = struct("Io", { a: u32, b: u16, c: u8, d: i32, e: u64 });
export const limit = config("limit", u32, 1);
export const main = xdp("main", (ctx) => {
  const io = ctx.header(Io, 0);
  if (!io) return XDP.DROP;
  limit.value = 3;
  return XDP.PASS;
});
