import { xdp } from "@skep/bpf";
const TABLE = [{ a: 1 }, { b: 2 }] as const;
export const main = xdp("main", (ctx) => {
  const row = TABLE[ctx.rxQueueIndex & 1];
  return row ? 1 : 2;
});
