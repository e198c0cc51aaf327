import { array, global, u32, u64, u8, union, xdp, XDP } from "@skep/bpf";

export const license = "GPL";

const Buffer = union("Buffer", { b: array(u8, 4096), w: array(u32, 1024), q: array(u64, 512) });
export const mem = array("mem", { value: Buffer, maxEntries: 1 });
export const result = global("result", u64);

export const run = xdp("run", () => {
  const m = mem.get(0);
  if (!m) return XDP.ABORTED;
  let s = 0n;
  for (let i = 0; i < 128; i++) {
    let x: u64 = m.q[i]! | 1n;
    let r: u64 = 0n;
    let t = x;
    if (t >> 32n !== 0n) {
      t >>= 32n;
      r += 32n;
    }
    if (t >> 16n !== 0n) {
      t >>= 16n;
      r += 16n;
    }
    if (t >> 8n !== 0n) {
      t >>= 8n;
      r += 8n;
    }
    if (t >> 4n !== 0n) {
      t >>= 4n;
      r += 4n;
    }
    if (t >> 2n !== 0n) {
      t >>= 2n;
      r += 2n;
    }
    r += t >> 1n;
    s += r;
    x -= (x >> 1n) & 0x5555555555555555n;
    x = (x & 0x3333333333333333n) + ((x >> 2n) & 0x3333333333333333n);
    x = (x + (x >> 4n)) & 0x0f0f0f0f0f0f0f0fn;
    s += (x * 0x0101010101010101n) >> 56n;
  }
  result.value = s;
  return XDP.PASS;
});
