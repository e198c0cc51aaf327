// Settings of the kernel that processes of a cgroup may read, but not write; names are compared as they are.
import { array, cgroupSysctl, percpuArray, strncmp, struct, sysctlGetName, u8, u64 } from "@skep/bpf";

const Name = struct("Name", { text: array(u8, 64) });
export const scratch = percpuArray("scratch", { value: Name, maxEntries: 1 });
/** Reads (0) and refused writes (1) of what is guarded. */
export const counts = percpuArray("counts", { value: u64, maxEntries: 2 });

function note(index: number): void {
  const counter = counts.ref(index);
  if (counter) counter.value += 1n;
}

export const sysctl = cgroupSysctl("sysctl", (ctx) => {
  const name = scratch.get(0);
  if (!name || sysctlGetName(ctx, name.text, 0n) < 0n) return 1;
  if (strncmp(name.text, "net/core/somaxconn") !== 0n) return 1;
  if (ctx.write === 0) {
    note(0);
    return 1;
  }
  note(1);
  return 0;
});
