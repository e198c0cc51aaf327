// Sockets of a cgroup: marked when they are made, counted while they live.
import { cgroupSockCreate, cgroupSockRelease, config, global, u32, u64, atomicAdd, struct } from "@skep/bpf";

export const mark = config("mark", u32, 0x77);
const Count = struct("Count", { made: u64, released: u64 });
export const count = global("count", Count);

export const create = cgroupSockCreate("create", (ctx) => {
  ctx.mark = mark.value;
  atomicAdd(count.value, "made", 1n);
  return 1;
});

export const release = cgroupSockRelease("release", (ctx) => {
  if (ctx.mark === mark.value) atomicAdd(count.value, "released", 1n);
  return 1;
});
