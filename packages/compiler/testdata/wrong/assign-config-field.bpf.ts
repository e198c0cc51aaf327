import { config, struct, u32, xdp, XDP } from "@skep/bpf";
const Limits = struct("Limits", { low: u32, high: u32 });
export const limits = config("limits", Limits, { low: 1, high: 5 });
export const main = xdp("main", () => {
  limits.value.low = 3;
  return XDP.PASS;
});
