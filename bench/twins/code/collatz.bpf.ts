import { array, global, u32, u64, u8, union, xdp, XDP } from "@skep/bpf";

export const license = "GPL";

const Buffer = union("Buffer", { b: array(u8, 4096), w: array(u32, 1024), q: array(u64, 512) });
export const mem = array("mem", { value: Buffer, maxEntries: 1 });
export const result = global("result", u64);

export const run = xdp("run", () => {
  const m = mem.get(0);
  if (!m) return XDP.ABORTED;
  let s = 0n;
  for (let i = 1n; i < 65n; i++) {
    let x: u64 = i + u64(m.b[0]! & 0);
    for (let k = 0; k < 64 && x !== 1n; k++) {
      x = (x & 1n) !== 0n ? 3n * x + 1n : x >> 1n;
      s += 1n;
    }
  }
  result.value = s;
  return XDP.PASS;
});
