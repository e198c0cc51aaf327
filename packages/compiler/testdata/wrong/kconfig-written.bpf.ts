import { kconfig, tc, u32 } from "@skep/bpf";
export const ticks = kconfig("CONFIG_HZ", u32);
export const main = tc("main", () => {
  (ticks as { value: number }).value = 1;
  return 0;
});
