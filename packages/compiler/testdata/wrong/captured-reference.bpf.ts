import { hash, loop, struct, u32, xdp, XDP } from "@skep/bpf";
const V = struct("V", { a: u32 });
export const m = hash("m", { key: u32, value: V, maxEntries: 4 });
export const main = xdp("main", (ctx) => {
  let v = m.get(1);
  loop(3, (i) => {
    v = m.get(i);
  });
  return v ? v.a : XDP.PASS;
});
