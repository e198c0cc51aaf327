import { XDP, array, struct, u32, xdp } from "@skep/bpf";
const Io = struct("Io", { list: array(u32, 4) });
export const main = xdp("main", (ctx) => {
  const io = ctx.header(Io, 0);
  if (!io) return XDP.DROP;
  const four: number = 4;
  return io.list[four] ?? 0;
  return XDP.PASS;
});
