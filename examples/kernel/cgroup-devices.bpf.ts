// Which devices processes of a cgroup may use: a list, by type and numbers.
import { cgroupDevice, hash, struct, u32 } from "@skep/bpf";

const Device = struct("Device", { type: u32, major: u32, minor: u32 });
/** What is allowed: 1 mknod, 2 read, 4 write. */
export const devices = hash("devices", { key: Device, value: u32, maxEntries: 64 });

export const device = cgroupDevice("device", (ctx) => {
  const type = ctx.accessType & 0xffff;
  const wanted = ctx.accessType >>> 16;
  const allowed = devices.get({ type, major: ctx.major, minor: ctx.minor }) ?? 0;
  return (wanted & ~allowed) === 0 ? 1 : 0;
});
