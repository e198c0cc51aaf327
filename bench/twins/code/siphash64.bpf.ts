import { array, global, u32, u64, u8, union, xdp, XDP } from "@skep/bpf";
import { rotateLeft64 } from "@skep/bpf/hash";

export const license = "GPL";

const Buffer = union("Buffer", { b: array(u8, 4096), w: array(u32, 1024), q: array(u64, 512) });
export const mem = array("mem", { value: Buffer, maxEntries: 1 });
export const result = global("result", u64);

export const run = xdp("run", () => {
  const m = mem.get(0);
  if (!m) return XDP.ABORTED;
  const k0 = m.q[100];
  const k1 = m.q[101];
  if (k0 === undefined || k1 === undefined) return XDP.ABORTED;
  let v0: u64 = k0 ^ 0x736f6d6570736575n;
  let v1: u64 = k1 ^ 0x646f72616e646f6dn;
  let v2: u64 = k0 ^ 0x6c7967656e657261n;
  let v3: u64 = k1 ^ 0x7465646279746573n;
  const round = (): void => {
    v0 += v1;
    v1 = rotateLeft64(v1, 13n) ^ v0;
    v0 = rotateLeft64(v0, 32n);
    v2 += v3;
    v3 = rotateLeft64(v3, 16n) ^ v2;
    v0 += v3;
    v3 = rotateLeft64(v3, 21n) ^ v0;
    v2 += v1;
    v1 = rotateLeft64(v1, 17n) ^ v2;
    v2 = rotateLeft64(v2, 32n);
  };
  for (let i = 0; i < 8; i++) {
    const word = m.q[i]!;
    v3 ^= word;
    round();
    round();
    v0 ^= word;
  }
  const last: u64 = 64n << 56n;
  v3 ^= last;
  round();
  round();
  v0 ^= last;
  v2 ^= 0xffn;
  round();
  round();
  round();
  round();
  result.value = v0 ^ v1 ^ v2 ^ v3;
  return XDP.PASS;
});
