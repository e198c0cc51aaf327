import { hash, u32, u64, xdp, XDP } from "@skep/bpf";
export const counts = hash("counts", { key: u32, value: u64, maxEntries: 64 });
export const main = xdp("main", (ctx) => {
  if (!counts.has(1)) counts[1] = 1n;
  counts.get(1) += 1n;
  counts.get(2)++;
  for (const [key, value] of counts) if (value > 9n) return key;
  for (const key of counts.keys()) return key;
  return counts.size > ctx.length ? XDP.DROP : XDP.PASS;
});
