import { xdp, XDP } from "@skep/bpf";
export const main = xdp("main", (ctx) => {
  const map = null as { get?(): number } | null; const x = map?.get?.();
  return XDP.PASS;
});
