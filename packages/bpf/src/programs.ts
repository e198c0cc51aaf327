/**
 * @module
 * The program types: the section that each constructor makes, and what the kernel calls the type and the hook.
 */

export interface ProgramKind {
  /** ELF section; `%` stands for the target. */
  readonly section: string;
  /** The kernel's name without prefix. */
  readonly type: string;
  readonly attachType?: string;
  /** Name of the context's interface in `api.ts`. */
  readonly context: string;
  /** Whether the second argument of the constructor names a target. */
  readonly hasTarget?: boolean;
  /** May sleep on demand (`.s` behind the section's first word): option `sleepable`. */
  readonly maySleep?: boolean;
  /** Always sleepable. */
  readonly sleeps?: boolean;
  /** What the program may return, where the kernel checks it (kernel/bpf/verifier.c, check_return_code). */
  readonly returns?: readonly [min: number, max: number];
}

const sockAddr = (
  section: string,
  attachType: string,
  returns: readonly [min: number, max: number] = [0, 1],
): ProgramKind => ({
  section: `cgroup/${section}`,
  type: "cgroup_sock_addr",
  attachType,
  context: "SockAddrContext",
  returns,
});

const sock = (section: string, attachType: string): ProgramKind => ({
  section: `cgroup/${section}`,
  type: "cgroup_sock",
  attachType,
  context: "SockContext",
  returns: [0, 1],
});

const multi = (section: string, attachType: string, maySleep = false): ProgramKind => ({
  section,
  type: "kprobe",
  attachType,
  context: "KprobeContext",
  hasTarget: true,
  ...(maySleep ? { maySleep } : {}),
});

/** By the name of the constructor. */
export const PROGRAM_KINDS: Readonly<Record<string, ProgramKind>> = {
  tc: { section: "tc", type: "sched_cls", context: "TcContext" },
  xdp: { section: "xdp", type: "xdp", attachType: "xdp", context: "XdpContext" },
  cgroupConnect4: sockAddr("connect4", "cgroup_inet4_connect"),
  cgroupConnect6: sockAddr("connect6", "cgroup_inet6_connect"),
  cgroupBind4: sockAddr("bind4", "cgroup_inet4_bind", [0, 3]),
  cgroupBind6: sockAddr("bind6", "cgroup_inet6_bind", [0, 3]),
  cgroupSendmsg4: sockAddr("sendmsg4", "cgroup_udp4_sendmsg"),
  cgroupSendmsg6: sockAddr("sendmsg6", "cgroup_udp6_sendmsg"),
  cgroupRecvmsg4: sockAddr("recvmsg4", "cgroup_udp4_recvmsg", [1, 1]),
  cgroupRecvmsg6: sockAddr("recvmsg6", "cgroup_udp6_recvmsg", [1, 1]),
  cgroupGetpeername4: sockAddr("getpeername4", "cgroup_inet4_getpeername", [1, 1]),
  cgroupGetpeername6: sockAddr("getpeername6", "cgroup_inet6_getpeername", [1, 1]),
  cgroupGetsockname4: sockAddr("getsockname4", "cgroup_inet4_getsockname", [1, 1]),
  cgroupGetsockname6: sockAddr("getsockname6", "cgroup_inet6_getsockname", [1, 1]),
  cgroupPostBind4: sock("post_bind4", "cgroup_inet4_post_bind"),
  cgroupPostBind6: sock("post_bind6", "cgroup_inet6_post_bind"),
  cgroupSockCreate: sock("sock_create", "cgroup_inet_sock_create"),
  cgroupSockRelease: sock("sock_release", "cgroup_inet_sock_release"),
  cgroupSkbIngress: {
    section: "cgroup_skb/ingress",
    type: "cgroup_skb",
    attachType: "cgroup_inet_ingress",
    context: "CgroupSkbContext",
    returns: [0, 1],
  },
  cgroupSkbEgress: {
    section: "cgroup_skb/egress",
    type: "cgroup_skb",
    attachType: "cgroup_inet_egress",
    context: "CgroupSkbContext",
    returns: [0, 3],
  },
  sockOps: {
    section: "sockops",
    type: "sock_ops",
    attachType: "cgroup_sock_ops",
    context: "SockOpsContext",
    returns: [0, 1],
  },
  skLookup: {
    section: "sk_lookup",
    type: "sk_lookup",
    attachType: "sk_lookup",
    context: "SkLookupContext",
    returns: [0, 1],
  },
  tracepoint: { section: "tracepoint/%", type: "tracepoint", context: "TracepointContext", hasTarget: true },
  rawTracepoint: { section: "raw_tp/%", type: "raw_tracepoint", context: "RawTracepointContext", hasTarget: true },
  kprobe: { section: "kprobe/%", type: "kprobe", context: "KprobeContext", hasTarget: true },
  kretprobe: { section: "kretprobe/%", type: "kprobe", context: "KprobeContext", hasTarget: true },
  socketFilter: { section: "socket", type: "socket_filter", context: "SocketFilterContext" },
  lwtIn: { section: "lwt_in", type: "lwt_in", context: "LwtContext" },
  lwtOut: { section: "lwt_out", type: "lwt_out", context: "LwtContext" },
  lwtXmit: { section: "lwt_xmit", type: "lwt_xmit", context: "LwtContext" },
  skSkbVerdict: {
    section: "sk_skb/stream_verdict",
    type: "sk_skb",
    attachType: "sk_skb_stream_verdict",
    context: "SkSkbContext",
  },
  skSkbParser: {
    section: "sk_skb/stream_parser",
    type: "sk_skb",
    attachType: "sk_skb_stream_parser",
    context: "SkSkbContext",
  },
  skMsg: { section: "sk_msg", type: "sk_msg", attachType: "sk_msg_verdict", context: "SkMsgContext" },
  skReuseport: {
    section: "sk_reuseport",
    type: "sk_reuseport",
    attachType: "sk_reuseport_select",
    context: "SkReuseportContext",
  },
  cgroupDevice: {
    section: "cgroup/dev",
    type: "cgroup_device",
    attachType: "cgroup_device",
    context: "CgroupDeviceContext",
    returns: [0, 1],
  },
  cgroupSysctl: {
    section: "cgroup/sysctl",
    type: "cgroup_sysctl",
    attachType: "cgroup_sysctl",
    context: "CgroupSysctlContext",
    returns: [0, 1],
  },
  cgroupGetsockopt: {
    section: "cgroup/getsockopt",
    type: "cgroup_sockopt",
    attachType: "cgroup_getsockopt",
    context: "CgroupSockoptContext",
    returns: [0, 1],
  },
  cgroupSetsockopt: {
    section: "cgroup/setsockopt",
    type: "cgroup_sockopt",
    attachType: "cgroup_setsockopt",
    context: "CgroupSockoptContext",
    returns: [0, 1],
  },
  fentry: {
    section: "fentry/%",
    type: "tracing",
    attachType: "trace_fentry",
    context: "TracedContext",
    hasTarget: true,
    maySleep: true,
  },
  fexit: {
    section: "fexit/%",
    type: "tracing",
    attachType: "trace_fexit",
    context: "TracedContext",
    hasTarget: true,
    maySleep: true,
  },
  fmodRet: {
    section: "fmod_ret/%",
    type: "tracing",
    attachType: "modify_return",
    context: "TracedContext",
    hasTarget: true,
    maySleep: true,
  },
  tpBtf: {
    section: "tp_btf/%",
    type: "tracing",
    attachType: "trace_raw_tp",
    context: "TracedContext",
    hasTarget: true,
    maySleep: true,
  },
  lsm: {
    section: "lsm/%",
    type: "lsm",
    attachType: "lsm_mac",
    context: "TracedContext",
    hasTarget: true,
    maySleep: true,
  },
  lsmCgroup: {
    section: "lsm_cgroup/%",
    type: "lsm",
    attachType: "lsm_cgroup",
    context: "TracedContext",
    hasTarget: true,
    returns: [0, 1],
  },
  iterator: {
    section: "iter/%",
    type: "tracing",
    attachType: "trace_iter",
    context: "IteratorContext",
    hasTarget: true,
    maySleep: true,
    returns: [0, 1],
  },
  uprobe: { section: "uprobe/%", type: "kprobe", context: "KprobeContext", hasTarget: true, maySleep: true },
  uretprobe: { section: "uretprobe/%", type: "kprobe", context: "KprobeContext", hasTarget: true, maySleep: true },
  uprobeMulti: multi("uprobe.multi/%", "trace_uprobe_multi", true),
  uretprobeMulti: multi("uretprobe.multi/%", "trace_uprobe_multi", true),
  uprobeSession: { ...multi("uprobe.session/%", "trace_uprobe_session", true), returns: [0, 1] },
  kprobeMulti: multi("kprobe.multi/%", "trace_kprobe_multi"),
  kretprobeMulti: multi("kretprobe.multi/%", "trace_kprobe_multi"),
  kprobeSession: { ...multi("kprobe.session/%", "trace_kprobe_session"), returns: [0, 1] },
  usdt: { section: "usdt/%", type: "kprobe", context: "KprobeContext", hasTarget: true, maySleep: true },
  rawTracepointWritable: {
    section: "raw_tp.w/%",
    type: "raw_tracepoint_writable",
    context: "RawTracepointContext",
    hasTarget: true,
  },
  netfilter: {
    section: "netfilter",
    type: "netfilter",
    attachType: "netfilter",
    context: "IteratorContext",
    returns: [0, 1],
  },
  flowDissector: {
    section: "flow_dissector",
    type: "flow_dissector",
    attachType: "flow_dissector",
    context: "FlowDissectorContext",
  },
  syscall: { section: "syscall", type: "syscall", context: "SyscallContext", sleeps: true },
  freplace: { section: "freplace/%", type: "ext", context: "ReplacedContext", hasTarget: true },
  skSkb: { section: "sk_skb/verdict", type: "sk_skb", attachType: "sk_skb_verdict", context: "SkSkbContext" },
  skReuseportMigrate: {
    section: "sk_reuseport/migrate",
    type: "sk_reuseport",
    attachType: "sk_reuseport_select_or_migrate",
    context: "SkReuseportContext",
  },
  xdpDevmap: { section: "xdp/devmap", type: "xdp", attachType: "xdp_devmap", context: "XdpContext" },
  xdpCpumap: { section: "xdp/cpumap", type: "xdp", attachType: "xdp_cpumap", context: "XdpContext" },
  lwtSeg6local: { section: "lwt_seg6local", type: "lwt_seg6local", context: "LwtContext" },
  tcAction: { section: "action", type: "sched_act", context: "TcContext" },
  cgroupConnectUnix: sockAddr("connect_unix", "cgroup_unix_connect"),
  cgroupSendmsgUnix: sockAddr("sendmsg_unix", "cgroup_unix_sendmsg"),
  cgroupRecvmsgUnix: sockAddr("recvmsg_unix", "cgroup_unix_recvmsg", [1, 1]),
  cgroupGetpeernameUnix: sockAddr("getpeername_unix", "cgroup_unix_getpeername", [1, 1]),
  cgroupGetsocknameUnix: sockAddr("getsockname_unix", "cgroup_unix_getsockname", [1, 1]),
  structOps: { section: "struct_ops/%", type: "struct_ops", context: "TracedContext", hasTarget: true, maySleep: true },
  perfEvent: { section: "perf_event", type: "perf_event", context: "PerfEventContext" },
};
