// Socket options as a cgroup sees them: SO_RCVBUF is no larger than allowed, and SO_MARK cannot be set at all.
import { cgroupGetsockopt, cgroupSetsockopt, config, i32, struct } from "@skep/bpf";

export const largest = config("largest", i32, 65_536);
const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const SO_MARK = 36;
const Int = struct("Int", { value: i32 });

export const set = cgroupSetsockopt("set", (ctx) => {
  if (ctx.level !== SOL_SOCKET) return 1;
  if (ctx.optname === SO_MARK) return 0;
  if (ctx.optname !== SO_RCVBUF) return 1;
  const size = ctx.header(Int, 0);
  if (size && size.value > largest.value) size.value = largest.value;
  return 1;
});

/** Says the mark is 0, whatever it is. */
export const get = cgroupGetsockopt("get", (ctx) => {
  if (ctx.level !== SOL_SOCKET || ctx.optname !== SO_MARK) return 1;
  const mark = ctx.header(Int, 0);
  if (mark) mark.value = 0;
  return 1;
});
