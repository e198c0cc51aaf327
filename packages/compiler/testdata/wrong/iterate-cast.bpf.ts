import { XDP, struct, u32, xdp } from "@skep/bpf";
const Io = struct("Io", { a: u32 });
export const main = xdp("main", (ctx) => {
  const io = ctx.header(Io, 0);
  if (!io) return XDP.DROP;
  for (const x of io as unknown as number[]) return x;
  return XDP.PASS;
});
