import { hash, htons, u32, u64, u8, xdp, XDP, type FixedArray } from "@skep/bpf";
import { Ethernet } from "@skep/bpf/net";
import { linearSlot } from "@skep/bpf/stats";
export const counts = hash("counts", { key: u32, value: u64, maxEntries: 64 });
function sum<const N extends number>(list: FixedArray<u32, N>): u32 {
  return list[0];
}
export const main = xdp("main", (ctx) => {
  const ethernet = ctx.header(Ethernet, 0);
  if (!ethernet || ethernet.type !== bpf_htons(0x0800)) return XDP.PASS;
  const low: u8 = ctx.length;
  const wide = ethernet.source[0] + 1000;
  const count = bpf_map_lookup_elem(counts, 1);
  return linearSlot(bpf_ktime_get_ns(), 10n) > low ? XDP.DROP : XDP.PASS;
});
