import { readFileSync } from "node:fs";
import { effectiveCapabilities } from "../sys/index.ts";

/** Bit numbers of include/uapi/linux/capability.h, for what BPF and networking ask. */
export const capabilityBits = {
  CAP_NET_ADMIN: 12,
  CAP_NET_RAW: 13,
  CAP_SYS_PTRACE: 19,
  CAP_SYS_ADMIN: 21,
  CAP_SYS_RESOURCE: 24,
  CAP_PERFMON: 38,
  CAP_BPF: 39,
} as const;

export type Capability = keyof typeof capabilityBits;

/** What a system call needs and the process has not. Nothing was tried. */
export class MissingCapabilityError extends Error {
  override readonly name = "MissingCapabilityError";
  readonly operation: string;
  readonly capabilities: readonly Capability[];
  /** Always `EPERM`. */
  readonly code = "EPERM";

  constructor(operation: string, capabilities: readonly Capability[], where = "") {
    super(`${operation} needs ${capabilities.join(" and ")}${where}`);
    this.operation = operation;
    this.capabilities = capabilities;
  }
}

export interface Privilege {
  /** The effective set, by bit. */
  readonly effective: bigint;
  /** Whether this is the initial user namespace: BPF asks for capabilities in that one. */
  readonly initial: boolean;
}

/** The whole range of user ids is mapped onto itself only in the initial user namespace. */
export function isInitialUserNamespace(uidMap: string): boolean {
  return /^\s*0\s+0\s+4294967295\s*$/.test(uidMap);
}

let initial: boolean | undefined;

/** Capabilities can be dropped and are read anew; a process with threads stays in its user namespace (setns(2), unshare(2)). */
export function currentPrivilege(): Privilege {
  initial ??= isInitialUserNamespace(readFileSync("/proc/thread-self/uid_map", "utf8"));
  return { effective: effectiveCapabilities(), initial };
}

/** The wanted capabilities that are missing. CAP_SYS_ADMIN stands for CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN (bpf_capable). */
export function missingCapabilities(wanted: readonly Capability[], privilege: Privilege): Capability[] {
  const has = (name: Capability) => (privilege.effective & (1n << BigInt(capabilityBits[name]))) !== 0n;
  const substitutes: readonly Capability[] = ["CAP_BPF", "CAP_PERFMON", "CAP_NET_ADMIN"];
  if (!privilege.initial) return [...wanted];
  return wanted.filter((name) => !has(name) && !(substitutes.includes(name) && has("CAP_SYS_ADMIN")));
}

/** Throws `MissingCapabilityError` before anything is tried. */
export function needCapabilities(operation: string, ...wanted: readonly Capability[]): void {
  const privilege = currentPrivilege();
  const missing = missingCapabilities(wanted, privilege);
  if (missing.length === 0) return;
  throw new MissingCapabilityError(operation, missing, privilege.initial ? "" : " in the initial user namespace");
}

// is_net_admin_prog_type, is_perfmon_prog_type (kernel/bpf/syscall.c).
const networkTypes = new Set([
  "sched_cls",
  "sched_act",
  "xdp",
  "lwt_in",
  "lwt_out",
  "lwt_xmit",
  "lwt_seg6local",
  "sk_skb",
  "sk_msg",
  "flow_dissector",
  "cgroup_device",
  "cgroup_sock",
  "cgroup_sock_addr",
  "cgroup_sockopt",
  "cgroup_sysctl",
  "sock_ops",
  "sk_reuseport",
  "sk_lookup",
  "netfilter",
]);
const tracingTypes = new Set([
  "kprobe",
  "tracepoint",
  "perf_event",
  "raw_tracepoint",
  "raw_tracepoint_writable",
  "tracing",
  "lsm",
  "struct_ops",
  "ext",
]);

/** What loading a program of this type needs. */
export function capabilitiesOfType(type: string): Capability[] {
  if (networkTypes.has(type)) return ["CAP_BPF", "CAP_NET_ADMIN"];
  if (tracingTypes.has(type)) return ["CAP_BPF", "CAP_PERFMON"];
  if (type === "cgroup_skb") return ["CAP_BPF", "CAP_NET_ADMIN"];
  return ["CAP_BPF"];
}
