import { xdp, XDP, type u64 } from "@skep/bpf";
export const main = xdp("main", (ctx) => {
  const sizes = [ctx.length, 64, 128];
  let sum: u64 = 0n;
  sizes.forEach((size) => (sum += size));
  const most = Math.max(sizes[0], 64);
  const wide: u64 = ctx.length;
  console.log(most, Number(sum + wide), sizes.includes(64));
  return sum + 1 > Date.now() ? XDP.DROP : XDP.PASS;
});
