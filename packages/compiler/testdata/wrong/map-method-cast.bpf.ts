import { queue, u32, xdp, XDP, type BpfMap } from "@skep/bpf";
export const q = queue("q", { value: u32, maxEntries: 4 });
export const main = xdp("main", () => {
  (q as unknown as BpfMap<u32, u32>).delete(1);
  return XDP.PASS;
});
