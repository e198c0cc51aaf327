// Processes of a cgroup reach no unix socket but those of their own cgroup's storage: none.
import { cgroupConnectUnix, cgroupSendmsgUnix, global, u64 } from "@skep/bpf";

export const refused = global("refused", u64);

export const connect = cgroupConnectUnix("connect", (ctx) => {
  if (ctx.userFamily !== 1) return 1;
  refused.value += 1n;
  return 0;
});

export const send = cgroupSendmsgUnix("send", () => {
  refused.value += 1n;
  return 0;
});
