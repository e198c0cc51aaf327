// How often each system call is made, by one process or by all.
import { config, getCurrentPidTgid, hash, rawTracepoint, u32, u64 } from "@skep/bpf";

export const license = "GPL";
/** 0: of all processes. */
export const process = config("process", u32, 0);
export const calls = hash("calls", { key: u32, value: u64, maxEntries: 512 });

export const enter = rawTracepoint("enter", "sys_enter", (ctx) => {
  if (process.value !== 0 && u32(getCurrentPidTgid() >> 32n) !== process.value) return 0;
  const number = u32(ctx.arg(1));
  const counter = calls.ref(number);
  if (counter) counter.value += 1n;
  else calls.set(number, 1n, "new");
  return 0;
});
