import { hash, struct, tc, Timer, timerInit, u32 } from "@skep/bpf";
const V = struct("V", { timer: Timer });
export const map = hash("map", { key: u32, value: V, maxEntries: 4 });
export const main = tc("main", () => {
  const value = map.get(1);
  return value && timerInit(value.timer, map) === 0n ? 0 : 1;
});
