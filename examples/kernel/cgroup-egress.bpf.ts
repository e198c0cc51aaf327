// Where processes of a cgroup may connect to: allowed networks alone. The caller learns why.
import { be32, cgroupConnect4, cgroupConnect6, cgroupSendmsg6, lpmTrie, setRetval, struct, u32, u8 } from "@skep/bpf";

const Prefix = struct("Prefix", { length: u32, address: be32 });
export const allowed = lpmTrie("allowed", { key: Prefix, value: u8, maxEntries: 64 });
const ECONNREFUSED = 111;

export const connect4 = cgroupConnect4("connect4", (ctx) => {
  if (allowed.get({ length: 32, address: ctx.userIp4 }) !== null) return 1;
  setRetval(-ECONNREFUSED);
  return 0;
});

/** IPv6 only to this host. */
export const connect6 = cgroupConnect6("connect6", (ctx) =>
  ctx.userIp6[0] === 0 && ctx.userIp6[1] === 0 && ctx.userIp6[2] === 0 && ctx.userIp6[3] === 1 ? 1 : 0,
);
export const send6 = cgroupSendmsg6("send6", (ctx) => (ctx.userIp6[3] === 1 ? 1 : 0));
