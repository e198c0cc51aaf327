import { array, global, u32, u64, u8, union, xdp, XDP } from "@skep/bpf";

export const license = "GPL";

const Buffer = union("Buffer", { b: array(u8, 4096), w: array(u32, 1024), q: array(u64, 512) });
export const mem = array("mem", { value: Buffer, maxEntries: 1 });
export const result = global("result", u64);

export const run = xdp("run", () => {
  const m = mem.get(0);
  if (!m) return XDP.ABORTED;
  let c: u32 = 0xffffffff;
  for (let i = 0; i < 256; i++) {
    c ^= m.b[i]!;
    for (const _ of [0, 1, 2, 3, 4, 5, 6, 7]) c = (c >> 1) ^ (0xedb88320 * (c & 1));
  }
  result.value = u64(~c);
  return XDP.PASS;
});
