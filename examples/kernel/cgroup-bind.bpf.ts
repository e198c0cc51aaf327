// Which ports processes of a cgroup may take: what is below the first is moved up, what is reserved is refused.
import { cgroupBind4, cgroupBind6, cgroupPostBind4, config, hash, u16, u32, u8 } from "@skep/bpf";

export const offset = config("offset", u16, 8000);
export const reserved = hash("reserved", { key: u16, value: u8, maxEntries: 64 });

export const bind4 = cgroupBind4("bind4", (ctx) => {
  if (ctx.userPort !== 0 && ctx.userPort < 1024) ctx.userPort = ctx.userPort + offset.value;
  return 1;
});

export const bind6 = cgroupBind6("bind6", (ctx) => (ctx.userPort < 1024 && ctx.userPort !== 0 ? 0 : 1));

export const bound = cgroupPostBind4("bound", (ctx) => {
  const port: u32 = ctx.srcPort;
  return reserved.get(u16(port)) === null ? 1 : 0;
});
