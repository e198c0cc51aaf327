import { hash, struct, u32, xdp, XDP, type Of } from "@skep/bpf";
const V = struct("V", { a: u32, b: u32 });
type V = Of<typeof V>;
export const m = hash("m", { key: u32, value: V, maxEntries: 4 });
export const main = xdp("main", () => {
  m.set(1, { a: 1 } as V);
  m.set(2, { a: 1, b: 2, c: 3 } as V);
  return XDP.PASS;
});
