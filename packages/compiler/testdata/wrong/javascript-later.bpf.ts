import { xdp, XDP } from "@skep/bpf";
const wait = async (length: number) => length;
export const main = xdp("main", (ctx) => {
  await wait(ctx.length);
  setTimeout(() => XDP.DROP, 100);
  const other = import("./other.ts");
  return XDP.PASS;
});
