import { array, global, struct, u32, u64, u8, union, xdp, XDP } from "@skep/bpf";

export const license = "GPL";

const Buffer = union("Buffer", { b: array(u8, 4096), w: array(u32, 1024), q: array(u64, 512) });
export const mem = array("mem", { value: Buffer, maxEntries: 1 });
export const result = global("result", u64);
const Bits = struct("Bits", { w: array(u64, 32) });

export const run = xdp("run", () => {
  const m = mem.get(0);
  if (!m) return XDP.ABORTED;
  const map = Bits.zero();
  let n = 0;
  for (let i = 2; i < 2048; i++) {
    if (((map.w[(i >> 6) & 31]! >> u64(i & 63)) & 1n) !== 0n) continue;
    n += 1;
    if (i >= 46) continue;
    for (let j = i * i; j < 2048; j += i) map.w[(j >> 6) & 31]! |= 1n << u64(j & 63);
  }
  result.value = u64(n);
  return XDP.PASS;
});
