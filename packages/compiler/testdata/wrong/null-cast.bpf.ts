import { hash, struct, u32, xdp, XDP, type Of } from "@skep/bpf";
const V = struct("V", { a: u32 });
const W = struct("W", { v: V });
export const m = hash("m", { key: u32, value: V, maxEntries: 4 });
export const main = xdp("main", () => {
  const w = W.zero();
  w.v = m.get(1) as Of<typeof V>;
  return w.v.a;
});
