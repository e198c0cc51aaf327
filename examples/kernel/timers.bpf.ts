// Entries that end by themselves: each carries a timer that takes it out.
import { hash, struct, syscall, Timer, timerInit, timerSetCallback, timerStart, u32, u64, global } from "@skep/bpf";

export const license = "GPL";
const Lease = struct("Lease", { timer: Timer, owner: u64 });
export const leases = hash("leases", { key: u32, value: Lease, maxEntries: 64 });
export const ended = global("ended", u64);
export const Request = struct("Request", { id: u32, nanoseconds: u64, owner: u64 });

export const lease = syscall("lease", Request, (request) => {
  const id: u32 = request.id;
  leases.set(id, { ...Lease.zero(), owner: request.owner });
  const made = leases.get(id);
  if (!made) return 1;
  if (timerInit(made.timer, leases) !== 0n) return 2;
  timerSetCallback(made.timer, leases, (key) => {
    ended.value += 1n;
    leases.delete(key);
  });
  return timerStart(made.timer, request.nanoseconds) === 0n ? 0 : 3;
});
