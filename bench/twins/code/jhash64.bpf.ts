import { array, global, u32, u64, u8, union, xdp, XDP } from "@skep/bpf";
import { jhash3Words } from "@skep/bpf/hash";

export const license = "GPL";

const Buffer = union("Buffer", { b: array(u8, 4096), w: array(u32, 1024), q: array(u64, 512) });
export const mem = array("mem", { value: Buffer, maxEntries: 1 });
export const result = global("result", u64);

export const run = xdp("run", () => {
  const m = mem.get(0);
  if (!m) return XDP.ABORTED;
  let s = 0n;
  for (let i = 0; i < 64; i++) {
    s += u64(jhash3Words(m.w[i * 4]!, m.w[i * 4 + 1]!, m.w[i * 4 + 2]! ^ m.b[i * 16 + 12]!, 7));
  }
  result.value = s;
  return XDP.PASS;
});
