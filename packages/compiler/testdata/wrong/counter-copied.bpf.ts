import { hash, u32, u64, xdp, XDP } from "@skep/bpf";
export const counts = hash("counts", { key: u32, value: u64, maxEntries: 64 });
export const main = xdp("main", (ctx) => {
  let count = counts.get(ctx.rxQueueIndex);
  if (count) count += 1n;
  return XDP.PASS;
});
