// Who sends which signal to whom.
import {
  array,
  getAttachCookie,
  getCurrentComm,
  getCurrentPidTgid,
  i32,
  ringBuf,
  struct,
  tracepoint,
  u32,
  u64,
  u8,
} from "@skep/bpf";

const Signal = struct("Signal", { from: u32, to: i32, number: i32, name: array(u8, 16), cookie: u64 });
export const signals = ringBuf("signals", Signal, { bytes: 4096 });

/** The record of syscalls/sys_enter_kill: pid at 16, sig at 24. */
export const kill = tracepoint("kill", "syscalls/sys_enter_kill", (ctx) => {
  const name = { ...Signal.zero() };
  getCurrentComm(name.name);
  signals.emit({
    from: u32(getCurrentPidTgid() >> 32n),
    to: ctx.read(i32, 16),
    number: ctx.read(i32, 24),
    name: name.name,
    cookie: getAttachCookie(ctx),
  });
  return 0;
});
