import { XDP, struct, u32, xdp } from "@skep/bpf";
const Io = struct("Io", { a: u32 });
export const main = xdp("main", (ctx) => {
  const io = ctx.header(Io, 70_000);
  if (!io) return XDP.DROP;
  return XDP.PASS;
});
