// A function of a library as programs call it: its argument, what it gave, and how long that took.
import {
  array,
  copyFromUser,
  getCurrentPidTgid,
  hash,
  ktimeGetNs,
  probeReadUserStr,
  ringBuf,
  struct,
  u64,
  u8,
  uprobe,
  uprobeMulti,
  uprobeSession,
  uretprobe,
  global,
} from "@skep/bpf";

export const license = "GPL";
const Call = struct("Call", { argument: array(u8, 32), result: u64, nanoseconds: u64 });
export const calls = ringBuf("calls", Call, { bytes: 1 << 16 });
const Open = struct("Open", { at: u64, argument: u64 });
export const open = hash("open", { key: u64, value: Open, maxEntries: 1024 });

export const enter = uprobe("enter", "", (ctx) => {
  open.set(getCurrentPidTgid(), { at: ktimeGetNs(), argument: ctx.arg(0) });
  return 0;
});

export const leave = uretprobe("leave", "", (ctx) => {
  const thread = getCurrentPidTgid();
  const start = open.get(thread);
  if (!start) return 0;
  const call = calls.reserve();
  if (call) {
    probeReadUserStr(call.argument, start.argument);
    call.result = ctx.returned;
    call.nanoseconds = ktimeGetNs() - start.at;
    calls.submit(call);
  }
  open.delete(thread);
  return 0;
});

/** The same text by a copy that may wait for a page: sleepable programs can. */
const Text = struct("Text", { bytes: array(u8, 16) });
export const copied = global("copied", Text);
export const patient = uprobe(
  "patient",
  "",
  (ctx) => {
    copyFromUser(copied.value, ctx.arg(0));
    return 0;
  },
  { sleepable: true },
);

export const many = global("many", u64);
export const each = uprobeMulti("each", "", () => {
  many.value += 1n;
  return 0;
});

/** One program for both ways: 0 asks for the way out. */
export const passes = global("passes", u64);
export const session = uprobeSession("session", "", () => {
  passes.value += 1n;
  return 0;
});
