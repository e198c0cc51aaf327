import { XDP, queue, u32, xdp } from "@skep/bpf";
export const q = queue("q", { value: u32, maxEntries: 4 });
export const main = xdp("main", (ctx) => {
  q.get(1);
  return XDP.PASS;
});
