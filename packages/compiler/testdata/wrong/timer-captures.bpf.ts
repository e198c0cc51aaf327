import { array, struct, Timer, timerSetCallback, u32, xdp, XDP } from "@skep/bpf";
export const license = "GPL";
const V = struct("V", { timer: Timer, a: u32 });
export const m = array("m", { value: V, maxEntries: 1 });
export const main = xdp("main", (ctx) => {
  const v = m.get(0);
  if (!v) return XDP.DROP;
  const length = ctx.length;
  timerSetCallback(v.timer, m, (key, value) => {
    value.a = length;
  });
  return XDP.PASS;
});
