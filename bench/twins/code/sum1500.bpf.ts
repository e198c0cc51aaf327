import { array, global, u32, u64, u8, union, xdp, XDP } from "@skep/bpf";

export const license = "GPL";

const Buffer = union("Buffer", { b: array(u8, 4096), w: array(u32, 1024), q: array(u64, 512) });
export const mem = array("mem", { value: Buffer, maxEntries: 1 });
export const result = global("result", u64);

export const run = xdp("run", () => {
  const m = mem.get(0);
  if (!m) return XDP.ABORTED;
  let s = 0n;
  for (let i = 0; i < 1500; i++) s += u64(m.b[i]!);
  result.value = s;
  return XDP.PASS;
});
