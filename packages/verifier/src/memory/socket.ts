/**
 * @module
 * Fields of sockets (bpf_sock_is_valid_access and its like, net/core/filter.c).
 */
import { contextRules } from "../context/access.ts";
import type { Env } from "../env.ts";
import type { Reg } from "../register.ts";
import { UNKNOWN, kind } from "../register.ts";
import type { Access } from "./access.ts";

const names: Readonly<Record<number, string>> = {
  [kind.socket]: "struct:sock",
  [kind.sockCommon]: "struct:sock-common",
  [kind.tcpSock]: "struct:tcp-sock",
  [kind.xdpSock]: "struct:xdp-sock",
};

export function accessSocket(env: Env, ptr: Reg, access: Access, writes: boolean): Reg {
  const off = access.off + ptr.off;
  if (ptr.smin < 0) env.refuse("negative-offset", `the offset of r${access.register} can be negative`);
  if (writes) env.refuse("read-only", "sockets are not written");
  const rules = contextRules(names[ptr.kind] ?? "", undefined);
  if (!ptr.isConst || rules === null || !rules.mayAccess(off, access.size, false)) {
    env.refuse("kernel-object", `${access.size} bytes at ${off} of the socket cannot be read`);
  }
  return UNKNOWN;
}
