import { XDP, xdp } from "@skep/bpf";
export const main = xdp("main", (ctx) => {
  return (ctx as unknown as { mark: number }).mark;
  return XDP.PASS;
});
