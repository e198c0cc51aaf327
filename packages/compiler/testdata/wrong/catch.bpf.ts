import { xdp, XDP } from "@skep/bpf";
export const main = xdp("main", () => {
  try {
    return XDP.PASS;
  } catch {
    return XDP.DROP;
  }
});
