import { attachTypes, programFlags, programTypes } from "./types.ts";
import type { AttachTypeName, ProgramTypeName } from "./types.ts";

/** What the text after the section's slash names. */
export type SectionTarget =
  /** The section has no target; its name must match exactly. */
  | "none"
  /** `func` or `func+offset`. */
  | "kernel-function"
  /** A glob over kernel functions. */
  | "kernel-pattern"
  /** A system call without prefix, such as `openat`. */
  | "syscall"
  /** `path:func` or `path:func+offset`. */
  | "user-function"
  /** `path:glob`. */
  | "user-pattern"
  /** `path:provider:name`. */
  | "usdt"
  /** `category/name`. */
  | "tracepoint"
  | "raw-tracepoint"
  /** A tracepoint's name; its BTF type is `btf_trace_` and the name. */
  | "btf-tracepoint"
  /** `func` or `module:func`, found in BTF. */
  | "btf-function"
  /** A glob over functions in BTF. */
  | "btf-pattern"
  /** A hook; its BTF function is `bpf_lsm_` and the name. */
  | "lsm-hook"
  /** An iterator; its BTF function is `bpf_iter_` and the name. */
  | "iterator"
  /** A function of another program. */
  | "program-function"
  /** A member of a struct_ops type. */
  | "member";

// Section, program type, attach type, target, properties; in libbpf 1.8's order.
const rows: readonly (readonly [
  prefix: string,
  type: ProgramTypeName,
  attach: AttachTypeName | null,
  target: SectionTarget,
  properties: string,
])[] = [
  ["socket", "socket_filter", null, "none", ""],
  ["sk_reuseport/migrate", "sk_reuseport", "sk_reuseport_select_or_migrate", "none", ""],
  ["sk_reuseport", "sk_reuseport", "sk_reuseport_select", "none", ""],
  ["kprobe", "kprobe", null, "kernel-function", ""],
  ["uprobe", "kprobe", null, "user-function", ""],
  ["uprobe.s", "kprobe", null, "user-function", "sleepable"],
  ["kretprobe", "kprobe", null, "kernel-function", ""],
  ["uretprobe", "kprobe", null, "user-function", ""],
  ["uretprobe.s", "kprobe", null, "user-function", "sleepable"],
  ["kprobe.multi", "kprobe", "trace_kprobe_multi", "kernel-pattern", ""],
  ["kretprobe.multi", "kprobe", "trace_kprobe_multi", "kernel-pattern", ""],
  ["kprobe.session", "kprobe", "trace_kprobe_session", "kernel-pattern", ""],
  ["uprobe.multi", "kprobe", "trace_uprobe_multi", "user-pattern", ""],
  ["uretprobe.multi", "kprobe", "trace_uprobe_multi", "user-pattern", ""],
  ["uprobe.session", "kprobe", "trace_uprobe_session", "user-pattern", ""],
  ["uprobe.multi.s", "kprobe", "trace_uprobe_multi", "user-pattern", "sleepable"],
  ["uretprobe.multi.s", "kprobe", "trace_uprobe_multi", "user-pattern", "sleepable"],
  ["uprobe.session.s", "kprobe", "trace_uprobe_session", "user-pattern", "sleepable"],
  ["ksyscall", "kprobe", null, "syscall", ""],
  ["kretsyscall", "kprobe", null, "syscall", ""],
  ["usdt", "kprobe", null, "usdt", ""],
  ["usdt.s", "kprobe", null, "usdt", "sleepable"],
  ["tc/ingress", "sched_cls", "tcx_ingress", "none", ""],
  ["tc/egress", "sched_cls", "tcx_egress", "none", ""],
  ["tcx/ingress", "sched_cls", "tcx_ingress", "none", ""],
  ["tcx/egress", "sched_cls", "tcx_egress", "none", ""],
  ["tc", "sched_cls", null, "none", ""],
  ["classifier", "sched_cls", null, "none", ""],
  ["action", "sched_act", null, "none", ""],
  ["netkit/primary", "sched_cls", "netkit_primary", "none", ""],
  ["netkit/peer", "sched_cls", "netkit_peer", "none", ""],
  ["tracepoint", "tracepoint", null, "tracepoint", ""],
  ["tp", "tracepoint", null, "tracepoint", ""],
  ["tracepoint.s", "tracepoint", null, "tracepoint", "sleepable"],
  ["tp.s", "tracepoint", null, "tracepoint", "sleepable"],
  ["raw_tracepoint", "raw_tracepoint", null, "raw-tracepoint", ""],
  ["raw_tp", "raw_tracepoint", null, "raw-tracepoint", ""],
  ["raw_tracepoint.s", "raw_tracepoint", null, "raw-tracepoint", "sleepable"],
  ["raw_tp.s", "raw_tracepoint", null, "raw-tracepoint", "sleepable"],
  ["raw_tracepoint.w", "raw_tracepoint_writable", null, "raw-tracepoint", ""],
  ["raw_tp.w", "raw_tracepoint_writable", null, "raw-tracepoint", ""],
  ["tp_btf", "tracing", "trace_raw_tp", "btf-tracepoint", ""],
  ["tp_btf.s", "tracing", "trace_raw_tp", "btf-tracepoint", "sleepable"],
  ["fentry", "tracing", "trace_fentry", "btf-function", ""],
  ["fmod_ret", "tracing", "modify_return", "btf-function", ""],
  ["fexit", "tracing", "trace_fexit", "btf-function", ""],
  ["fentry.s", "tracing", "trace_fentry", "btf-function", "sleepable"],
  ["fmod_ret.s", "tracing", "modify_return", "btf-function", "sleepable"],
  ["fexit.s", "tracing", "trace_fexit", "btf-function", "sleepable"],
  ["fsession", "tracing", "trace_fsession", "btf-function", ""],
  ["fsession.s", "tracing", "trace_fsession", "btf-function", "sleepable"],
  ["fsession.multi", "tracing", "trace_fsession_multi", "btf-pattern", ""],
  ["fsession.multi.s", "tracing", "trace_fsession_multi", "btf-pattern", "sleepable"],
  ["fentry.multi", "tracing", "trace_fentry_multi", "btf-pattern", ""],
  ["fexit.multi", "tracing", "trace_fexit_multi", "btf-pattern", ""],
  ["fentry.multi.s", "tracing", "trace_fentry_multi", "btf-pattern", "sleepable"],
  ["fexit.multi.s", "tracing", "trace_fexit_multi", "btf-pattern", "sleepable"],
  ["freplace", "ext", null, "program-function", ""],
  ["lsm", "lsm", "lsm_mac", "lsm-hook", ""],
  ["lsm.s", "lsm", "lsm_mac", "lsm-hook", "sleepable"],
  ["lsm_cgroup", "lsm", "lsm_cgroup", "lsm-hook", ""],
  ["iter", "tracing", "trace_iter", "iterator", ""],
  ["iter.s", "tracing", "trace_iter", "iterator", "sleepable"],
  ["syscall", "syscall", null, "none", "sleepable"],
  ["xdp.frags/devmap", "xdp", "xdp_devmap", "none", "frags"],
  ["xdp/devmap", "xdp", "xdp_devmap", "none", ""],
  ["xdp.frags/cpumap", "xdp", "xdp_cpumap", "none", "frags"],
  ["xdp/cpumap", "xdp", "xdp_cpumap", "none", ""],
  ["xdp.frags", "xdp", "xdp", "none", "frags"],
  ["xdp", "xdp", "xdp", "none", "optional"],
  ["perf_event", "perf_event", null, "none", ""],
  ["lwt_in", "lwt_in", null, "none", ""],
  ["lwt_out", "lwt_out", null, "none", ""],
  ["lwt_xmit", "lwt_xmit", null, "none", ""],
  ["lwt_seg6local", "lwt_seg6local", null, "none", ""],
  ["sockops", "sock_ops", "cgroup_sock_ops", "none", "optional"],
  ["sk_skb/stream_parser", "sk_skb", "sk_skb_stream_parser", "none", "optional"],
  ["sk_skb/stream_verdict", "sk_skb", "sk_skb_stream_verdict", "none", "optional"],
  ["sk_skb/verdict", "sk_skb", "sk_skb_verdict", "none", "optional"],
  ["sk_skb", "sk_skb", null, "none", ""],
  ["sk_msg", "sk_msg", "sk_msg_verdict", "none", "optional"],
  ["lirc_mode2", "lirc_mode2", "lirc_mode2", "none", "optional"],
  ["flow_dissector", "flow_dissector", "flow_dissector", "none", "optional"],
  ["cgroup_skb/ingress", "cgroup_skb", "cgroup_inet_ingress", "none", "optional"],
  ["cgroup_skb/egress", "cgroup_skb", "cgroup_inet_egress", "none", "optional"],
  ["cgroup/skb", "cgroup_skb", null, "none", ""],
  ["cgroup/sock_create", "cgroup_sock", "cgroup_inet_sock_create", "none", ""],
  ["cgroup/sock_release", "cgroup_sock", "cgroup_inet_sock_release", "none", ""],
  ["cgroup/sock", "cgroup_sock", "cgroup_inet_sock_create", "none", "optional"],
  ["cgroup/post_bind4", "cgroup_sock", "cgroup_inet4_post_bind", "none", ""],
  ["cgroup/post_bind6", "cgroup_sock", "cgroup_inet6_post_bind", "none", ""],
  ["cgroup/bind4", "cgroup_sock_addr", "cgroup_inet4_bind", "none", ""],
  ["cgroup/bind6", "cgroup_sock_addr", "cgroup_inet6_bind", "none", ""],
  ["cgroup/connect4", "cgroup_sock_addr", "cgroup_inet4_connect", "none", ""],
  ["cgroup/connect6", "cgroup_sock_addr", "cgroup_inet6_connect", "none", ""],
  ["cgroup/connect_unix", "cgroup_sock_addr", "cgroup_unix_connect", "none", ""],
  ["cgroup/sendmsg4", "cgroup_sock_addr", "cgroup_udp4_sendmsg", "none", ""],
  ["cgroup/sendmsg6", "cgroup_sock_addr", "cgroup_udp6_sendmsg", "none", ""],
  ["cgroup/sendmsg_unix", "cgroup_sock_addr", "cgroup_unix_sendmsg", "none", ""],
  ["cgroup/recvmsg4", "cgroup_sock_addr", "cgroup_udp4_recvmsg", "none", ""],
  ["cgroup/recvmsg6", "cgroup_sock_addr", "cgroup_udp6_recvmsg", "none", ""],
  ["cgroup/recvmsg_unix", "cgroup_sock_addr", "cgroup_unix_recvmsg", "none", ""],
  ["cgroup/getpeername4", "cgroup_sock_addr", "cgroup_inet4_getpeername", "none", ""],
  ["cgroup/getpeername6", "cgroup_sock_addr", "cgroup_inet6_getpeername", "none", ""],
  ["cgroup/getpeername_unix", "cgroup_sock_addr", "cgroup_unix_getpeername", "none", ""],
  ["cgroup/getsockname4", "cgroup_sock_addr", "cgroup_inet4_getsockname", "none", ""],
  ["cgroup/getsockname6", "cgroup_sock_addr", "cgroup_inet6_getsockname", "none", ""],
  ["cgroup/getsockname_unix", "cgroup_sock_addr", "cgroup_unix_getsockname", "none", ""],
  ["cgroup/sysctl", "cgroup_sysctl", "cgroup_sysctl", "none", ""],
  ["cgroup/getsockopt", "cgroup_sockopt", "cgroup_getsockopt", "none", ""],
  ["cgroup/setsockopt", "cgroup_sockopt", "cgroup_setsockopt", "none", ""],
  ["cgroup/dev", "cgroup_device", "cgroup_device", "none", "optional"],
  ["struct_ops", "struct_ops", null, "member", ""],
  ["struct_ops.s", "struct_ops", null, "member", "sleepable"],
  ["sk_lookup", "sk_lookup", "sk_lookup", "none", ""],
  ["netfilter", "netfilter", "netfilter", "none", ""],
];

/** What a section's name (`SEC("...")`) says about the program in it. */
export interface SectionRule {
  /** The name up to the target, such as `kprobe.multi` or `cgroup/connect4`. */
  readonly section: string;
  readonly type: ProgramTypeName;
  /** Expected attach type of BPF_PROG_LOAD; null where there is none. */
  readonly attachType: AttachTypeName | null;
  readonly target: SectionTarget;
  /** BPF_F_* of BPF_PROG_LOAD: sleepable, xdp_has_frags. */
  readonly flags: number;
  /** Kernels that refuse the attach type at load are given none. */
  readonly attachTypeOptional: boolean;
}

/** A section's rule with the target that this name gives. */
export interface SectionMeaning extends SectionRule {
  /** Text after the slash; null where the rule has no target or the name gives none. */
  readonly attachTo: string | null;
  /** False when the name begins with `?`: loaded only on demand. */
  readonly autoload: boolean;
}

/** Every section name of libbpf 1.8. */
export const sections: readonly SectionRule[] = rows.map(([section, type, attachType, target, properties]) => ({
  section,
  type,
  attachType,
  target,
  flags:
    (properties.includes("sleepable") ? programFlags.sleepable : 0) |
    (properties.includes("frags") ? programFlags.xdp_has_frags : 0),
  attachTypeOptional: properties.includes("optional"),
}));

/**
 * The meaning of a section's name as libbpf reads it (sec_def_matches): a rule without target matches the whole
 * name, one with target also `section/target`. Null for a section that holds no program.
 */
export function programTypeOfSection(name: string): SectionMeaning | null {
  const autoload = !name.startsWith("?");
  const bare = autoload ? name : name.slice(1);
  for (const rule of sections) {
    if (bare === rule.section) return { ...rule, attachTo: null, autoload };
    if (rule.target !== "none" && bare.startsWith(`${rule.section}/`)) {
      return { ...rule, attachTo: bare.slice(rule.section.length + 1), autoload };
    }
  }
  return null;
}

/** The numbers that BPF_PROG_LOAD wants for a section's meaning: program type and expected attach type (0 for none). */
export function loadNumbers(rule: SectionRule): { readonly type: number; readonly attachType: number } {
  return {
    type: programTypes[rule.type],
    attachType: rule.attachType === null ? 0 : attachTypes[rule.attachType],
  };
}
