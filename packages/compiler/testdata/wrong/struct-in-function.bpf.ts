import { XDP, struct, u32, xdp } from "@skep/bpf";
export const main = xdp("main", (ctx) => {
  const Local = struct("Local", { a: u32 });
  if (Local.size > 4) return XDP.DROP;
  return XDP.PASS;
});
