import { xdp, XDP } from "@skep/bpf";
export const main = xdp("main", (ctx) => {
  const text = `${ctx.length}`;
  return XDP.PASS;
});
