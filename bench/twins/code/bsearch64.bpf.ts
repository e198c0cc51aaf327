import { array, global, u32, u64, u8, union, xdp, XDP } from "@skep/bpf";

export const license = "GPL";

const Buffer = union("Buffer", { b: array(u8, 4096), w: array(u32, 1024), q: array(u64, 512) });
export const mem = array("mem", { value: Buffer, maxEntries: 1 });
export const result = global("result", u64);

export const run = xdp("run", () => {
  const m = mem.get(0);
  if (!m) return XDP.ABORTED;
  // 64 look-ups among the 256 sorted words in the second half.
  let s = 0n;
  for (let i = 0; i < 64; i++) {
    const x = m.w[i]!;
    let b: u32 = 0;
    for (let h = 128; h > 0; h >>= 1) {
      if (m.w[512 + ((b + h - 1) & 255)]! < x) b += h;
    }
    s += u64(b);
  }
  result.value = s;
  return XDP.PASS;
});
