import { array, struct, u32, u8, xdp, XDP } from "@skep/bpf";
const Name = struct("Name", { bytes: array(u8, 8), sum: u32 });
export const main = xdp("main", (ctx) => {
  const name = Name.zero();
  const sizes = [ctx.length, 64, 128];
  name.bytes.fill(32);
  for (const [i, size] of sizes.entries()) name.bytes[i] = size;
  name.sum = sizes.reduce((sum, size) => sum + size, 0);
  const doubled = name.bytes.map((byte) => byte * 2);
  for (const size of sizes.filter((size) => size > 64)) name.sum += size;
  name.sum += sizes.at(-1);
  if (sizes.find((size) => size === 64)) name.bytes.slice(0, 4);
  return XDP.PASS;
});
