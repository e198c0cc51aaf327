import { ringBuf, struct, tc, u32 } from "@skep/bpf";
const E = struct("E", { value: u32 });
export const events = ringBuf("events", E, { bytes: 4096 });
export const main = tc("main", () => {
  events.submit(null as never);
  return 0;
});
