import { XDP, hash, struct, u32, xdp } from "@skep/bpf";
const A = struct("A", { a: u32 });
const B = struct("B", { a: u32, b: u32 });
export const m = hash("m", { key: A, value: u32, maxEntries: 4 });
export const main = xdp("main", (ctx) => {
  const key = B.zero();
  m.delete(key);
  return XDP.PASS;
});
