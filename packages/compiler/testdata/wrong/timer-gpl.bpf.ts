import { array, struct, Timer, timerInit, u32, xdp, XDP } from "@skep/bpf";
const V = struct("V", { timer: Timer, a: u32 });
export const m = array("m", { value: V, maxEntries: 1 });
export const main = xdp("main", () => {
  const v = m.get(0);
  if (v) timerInit(v.timer, m);
  return XDP.PASS;
});
