import { XDP, hash, struct, u32, xdp } from "@skep/bpf";
const V = struct("V", { a: u32, b: u32 });
export const m = hash("m", { key: u32, value: V, maxEntries: 4 });
export const main = xdp("main", (ctx) => {
  m.set(1, { a: 1 });
  return XDP.PASS;
});
