/**
 * @module
 * Which helper the kernel lets which program call, and which it keeps for GPL-compatible ones: what Linux 6.18 answers to a program of
 * each type that calls it (`get_func_proto` of the types, `gpl_only` of the helpers). Helpers that none of these types may call are absent.
 * `*` is every type here, `@name` a group, `-` takes away.
 */
import { PROGRAM_KINDS } from "@skep/bpf";

const GROUPS: Readonly<Record<string, readonly string[]>> = {
  cgroupSkb: ["cgroupSkbIngress", "cgroupSkbEgress"],
  sockAddr: [
    "cgroupConnect4",
    "cgroupConnect6",
    "cgroupBind4",
    "cgroupBind6",
    "cgroupSendmsg4",
    "cgroupSendmsg6",
    "cgroupRecvmsg4",
    "cgroupRecvmsg6",
    "cgroupGetpeername4",
    "cgroupGetpeername6",
    "cgroupGetsockname4",
    "cgroupGetsockname6",
  ],
  cgroupSock: ["cgroupPostBind4", "cgroupPostBind6", "cgroupSockCreate", "cgroupSockRelease"],
  sockopt: ["cgroupGetsockopt", "cgroupSetsockopt"],
  lwt: ["lwtIn", "lwtOut", "lwtXmit"],
  tracing: ["tracepoint", "rawTracepoint", "kprobe", "kretprobe", "perfEvent"],
};

const ALL: readonly string[] = [
  "tc",
  "xdp",
  "cgroupSkbIngress",
  "cgroupSkbEgress",
  "cgroupConnect4",
  "cgroupConnect6",
  "cgroupBind4",
  "cgroupBind6",
  "cgroupSendmsg4",
  "cgroupSendmsg6",
  "cgroupRecvmsg4",
  "cgroupRecvmsg6",
  "cgroupGetpeername4",
  "cgroupGetpeername6",
  "cgroupGetsockname4",
  "cgroupGetsockname6",
  "cgroupPostBind4",
  "cgroupPostBind6",
  "cgroupSockCreate",
  "cgroupSockRelease",
  "cgroupDevice",
  "cgroupSysctl",
  "cgroupGetsockopt",
  "cgroupSetsockopt",
  "sockOps",
  "skLookup",
  "skMsg",
  "skSkb",
  "skReuseport",
  "socketFilter",
  "flowDissector",
  "lwtIn",
  "lwtOut",
  "lwtXmit",
  "netfilter",
  "syscall",
  "tracepoint",
  "rawTracepoint",
  "kprobe",
  "kretprobe",
  "perfEvent",
];

/** Helper without `bpf_`, `gpl` or nothing, program types. */
const ROWS: readonly (readonly [name: string, license: "gpl" | "", types: string])[] = [
  ["map_lookup_elem", "", "*"],
  ["map_update_elem", "", "*"],
  ["map_delete_elem", "", "*"],
  ["probe_read", "gpl", "@tracing syscall"],
  ["ktime_get_ns", "", "*"],
  ["trace_printk", "gpl", "*"],
  ["get_prandom_u32", "", "*"],
  ["get_smp_processor_id", "", "*"],
  ["skb_store_bytes", "", "tc skSkb lwtXmit"],
  ["l3_csum_replace", "", "tc lwtXmit"],
  ["l4_csum_replace", "", "tc lwtXmit"],
  ["tail_call", "", "*"],
  ["clone_redirect", "", "tc lwtXmit"],
  ["get_current_pid_tgid", "", "*"],
  ["get_current_uid_gid", "", "*"],
  ["get_current_comm", "", "*"],
  ["get_cgroup_classid", "", "*"],
  ["skb_vlan_push", "", "tc"],
  ["skb_vlan_pop", "", "tc"],
  ["skb_get_tunnel_key", "", "tc lwtXmit"],
  ["skb_set_tunnel_key", "", "tc lwtXmit"],
  ["perf_event_read", "gpl", "*"],
  ["redirect", "", "tc xdp lwtXmit"],
  ["get_route_realm", "", "@lwt tc"],
  ["perf_event_output", "gpl", "* -skReuseport -flowDissector -netfilter"],
  ["skb_load_bytes", "", "@cgroupSkb @lwt tc skSkb skReuseport socketFilter flowDissector"],
  ["get_stackid", "gpl", "@tracing syscall"],
  ["csum_diff", "", "@lwt tc xdp"],
  ["skb_get_tunnel_opt", "", "tc lwtXmit"],
  ["skb_set_tunnel_opt", "", "tc lwtXmit"],
  ["skb_change_proto", "", "tc"],
  ["skb_change_type", "", "tc"],
  ["skb_under_cgroup", "", "@lwt tc"],
  ["get_hash_recalc", "", "@lwt tc"],
  ["get_current_task", "gpl", "*"],
  ["current_task_under_cgroup", "", "*"],
  ["skb_change_tail", "", "tc skSkb lwtXmit"],
  ["skb_pull_data", "", "@lwt tc skSkb"],
  ["csum_update", "", "tc lwtXmit"],
  ["set_hash_invalid", "", "tc lwtXmit"],
  ["get_numa_node_id", "", "*"],
  ["skb_change_head", "", "tc skSkb lwtXmit"],
  ["xdp_adjust_head", "", "xdp"],
  ["probe_read_str", "gpl", "@tracing syscall"],
  ["get_socket_cookie", "", "@cgroupSkb @sockAddr @cgroupSock tc sockOps skSkb skReuseport socketFilter syscall"],
  ["get_socket_uid", "", "@cgroupSkb tc skSkb socketFilter"],
  ["set_hash", "", "tc"],
  ["setsockopt", "", "@sockAddr cgroupSetsockopt sockOps"],
  ["skb_adjust_room", "", "tc skSkb"],
  ["redirect_map", "", "xdp"],
  ["sk_redirect_map", "", "skSkb"],
  ["sock_map_update", "", "sockOps"],
  ["xdp_adjust_meta", "", "xdp"],
  ["perf_event_read_value", "gpl", "*"],
  ["perf_prog_read_value", "gpl", "perfEvent"],
  ["getsockopt", "", "@sockAddr cgroupSetsockopt sockOps"],
  ["sock_ops_cb_flags_set", "", "sockOps"],
  ["msg_redirect_map", "", "skMsg"],
  ["msg_apply_bytes", "", "skMsg"],
  ["msg_cork_bytes", "", "skMsg"],
  ["msg_pull_data", "", "skMsg"],
  ["bind", "", "cgroupConnect4 cgroupConnect6"],
  ["xdp_adjust_tail", "", "xdp"],
  ["skb_get_xfrm_state", "", "tc"],
  ["get_stack", "gpl", "@tracing syscall"],
  ["skb_load_bytes_relative", "", "@cgroupSkb tc skReuseport socketFilter"],
  ["fib_lookup", "gpl", "tc xdp"],
  ["sock_hash_update", "", "sockOps"],
  ["msg_redirect_hash", "", "skMsg"],
  ["sk_redirect_hash", "", "skSkb"],
  ["lwt_push_encap", "", "lwtIn lwtXmit"],
  ["skb_cgroup_id", "", "@cgroupSkb tc"],
  ["get_current_cgroup_id", "", "*"],
  ["get_local_storage", "", "@cgroupSkb @sockAddr @cgroupSock @sockopt cgroupDevice cgroupSysctl sockOps"],
  ["sk_select_reuseport", "", "skReuseport"],
  ["skb_ancestor_cgroup_id", "", "@cgroupSkb tc"],
  ["sk_lookup_tcp", "", "@cgroupSkb @sockAddr tc xdp skSkb"],
  ["sk_lookup_udp", "", "@cgroupSkb @sockAddr tc xdp skSkb"],
  ["sk_release", "", "@cgroupSkb @sockAddr tc xdp skLookup skSkb"],
  ["map_push_elem", "", "*"],
  ["map_pop_elem", "", "*"],
  ["map_peek_elem", "", "*"],
  ["msg_push_data", "", "skMsg"],
  ["msg_pop_data", "", "skMsg"],
  ["spin_lock", "", "*"],
  ["spin_unlock", "", "*"],
  ["sk_fullsock", "", "@cgroupSkb tc"],
  ["tcp_sock", "", "@cgroupSkb @sockopt tc sockOps"],
  ["skb_ecn_set_ce", "", "@cgroupSkb tc"],
  ["get_listener_sock", "", "@cgroupSkb tc"],
  ["skc_lookup_tcp", "", "@cgroupSkb @sockAddr tc xdp skSkb"],
  ["tcp_check_syncookie", "gpl", "tc xdp"],
  ["sysctl_get_name", "", "cgroupSysctl"],
  ["sysctl_get_current_value", "", "cgroupSysctl"],
  ["sysctl_get_new_value", "", "cgroupSysctl"],
  ["sysctl_set_new_value", "", "cgroupSysctl"],
  ["strtol", "", "*"],
  ["strtoul", "", "*"],
  ["sk_storage_get", "", "@cgroupSkb @sockAddr @cgroupSock @sockopt tc sockOps skMsg syscall"],
  ["sk_storage_delete", "", "@cgroupSkb @sockAddr @sockopt tc sockOps skMsg syscall"],
  ["send_signal", "", "*"],
  ["tcp_gen_syncookie", "gpl", "tc xdp"],
  ["skb_output", "gpl", "syscall"],
  ["probe_read_user", "gpl", "*"],
  ["probe_read_kernel", "gpl", "*"],
  ["probe_read_user_str", "gpl", "*"],
  ["probe_read_kernel_str", "gpl", "*"],
  ["send_signal_thread", "", "*"],
  ["jiffies64", "", "*"],
  ["read_branch_records", "gpl", "perfEvent"],
  ["get_ns_current_pid_tgid", "", "*"],
  ["xdp_output", "gpl", "syscall"],
  ["get_netns_cookie", "", "@cgroupSkb @sockAddr @cgroupSock @sockopt tc sockOps skMsg socketFilter"],
  ["get_current_ancestor_cgroup_id", "", "*"],
  ["sk_assign", "", "tc skLookup"],
  ["ktime_get_boot_ns", "", "*"],
  ["sk_cgroup_id", "", "@cgroupSkb"],
  ["sk_ancestor_cgroup_id", "", "@cgroupSkb"],
  ["ringbuf_output", "", "*"],
  ["ringbuf_reserve", "", "*"],
  ["ringbuf_submit", "", "*"],
  ["ringbuf_discard", "", "*"],
  ["ringbuf_query", "", "*"],
  ["csum_level", "", "tc lwtXmit"],
  ["skc_to_tcp6_sock", "", "* -@cgroupSock -@sockopt -@tracing -cgroupDevice -cgroupSysctl -skReuseport -netfilter"],
  ["skc_to_tcp_sock", "", "* -@cgroupSock -@sockopt -@tracing -cgroupDevice -cgroupSysctl -skReuseport -netfilter"],
  [
    "skc_to_tcp_timewait_sock",
    "",
    "* -@cgroupSock -@sockopt -@tracing -cgroupDevice -cgroupSysctl -skReuseport -netfilter",
  ],
  [
    "skc_to_tcp_request_sock",
    "",
    "* -@cgroupSock -@sockopt -@tracing -cgroupDevice -cgroupSysctl -skReuseport -netfilter",
  ],
  ["skc_to_udp6_sock", "", "* -@cgroupSock -@sockopt -@tracing -cgroupDevice -cgroupSysctl -skReuseport -netfilter"],
  ["get_task_stack", "", "*"],
  ["load_hdr_opt", "", "sockOps"],
  ["store_hdr_opt", "", "sockOps"],
  ["reserve_hdr_opt", "", "sockOps"],
  ["d_path", "", "syscall"],
  ["copy_from_user", "", "*"],
  ["snprintf_btf", "", "*"],
  ["skb_cgroup_classid", "", "tc"],
  ["redirect_neigh", "", "tc"],
  ["per_cpu_ptr", "", "*"],
  ["this_cpu_ptr", "", "*"],
  ["redirect_peer", "", "tc"],
  ["task_storage_get", "", "*"],
  ["task_storage_delete", "", "*"],
  ["get_current_task_btf", "gpl", "*"],
  ["ktime_get_coarse_ns", "", "* -@sockopt -@tracing -cgroupDevice -netfilter -syscall"],
  ["sock_from_file", "", "syscall"],
  ["check_mtu", "gpl", "tc xdp"],
  ["for_each_map_elem", "", "*"],
  ["snprintf", "gpl", "*"],
  ["sys_bpf", "", "syscall"],
  ["btf_find_by_name_kind", "", "syscall"],
  ["sys_close", "", "syscall"],
  ["timer_init", "gpl", "*"],
  ["timer_set_callback", "gpl", "*"],
  ["timer_start", "gpl", "*"],
  ["timer_cancel", "gpl", "*"],
  ["get_func_ip", "gpl", "@tracing syscall"],
  ["get_attach_cookie", "", "@tracing"],
  ["task_pt_regs", "gpl", "*"],
  ["get_branch_snapshot", "gpl", "*"],
  ["trace_vprintk", "gpl", "*"],
  ["skc_to_unix_sock", "", "* -@cgroupSock -@sockopt -@tracing -cgroupDevice -cgroupSysctl -skReuseport -netfilter"],
  ["kallsyms_lookup_name", "", "syscall"],
  ["find_vma", "", "*"],
  ["loop", "", "*"],
  ["strncmp", "", "*"],
  [
    "get_retval",
    "",
    "@cgroupSock @sockopt cgroupConnect4 cgroupConnect6 cgroupBind4 cgroupBind6 cgroupSendmsg4 cgroupSendmsg6 cgroupDevice cgroupSysctl",
  ],
  [
    "set_retval",
    "",
    "@cgroupSock @sockopt cgroupConnect4 cgroupConnect6 cgroupBind4 cgroupBind6 cgroupSendmsg4 cgroupSendmsg6 cgroupDevice cgroupSysctl",
  ],
  ["xdp_get_buff_len", "", "xdp syscall"],
  ["xdp_load_bytes", "", "xdp"],
  ["xdp_store_bytes", "", "xdp"],
  ["copy_from_user_task", "gpl", "*"],
  ["skb_set_tstamp", "", "tc"],
  ["kptr_xchg", "", "*"],
  ["map_lookup_percpu_elem", "", "*"],
  ["skc_to_mptcp_sock", "", "* -@cgroupSock -@sockopt -@tracing -cgroupDevice -cgroupSysctl -skReuseport -netfilter"],
  ["dynptr_from_mem", "", "*"],
  ["ringbuf_reserve_dynptr", "", "*"],
  ["ringbuf_submit_dynptr", "", "*"],
  ["ringbuf_discard_dynptr", "", "*"],
  ["dynptr_read", "", "*"],
  ["dynptr_write", "", "*"],
  ["dynptr_data", "", "*"],
  ["tcp_raw_gen_syncookie_ipv4", "gpl", "tc xdp"],
  ["tcp_raw_gen_syncookie_ipv6", "gpl", "tc xdp"],
  ["tcp_raw_check_syncookie_ipv4", "gpl", "tc xdp"],
  ["tcp_raw_check_syncookie_ipv6", "gpl", "tc xdp"],
  ["ktime_get_tai_ns", "", "*"],
  ["user_ringbuf_drain", "", "*"],
  ["cgrp_storage_get", "", "*"],
  ["cgrp_storage_delete", "", "*"],
];

export interface HelperSupport {
  readonly gpl: boolean;
  /** Constructors of the program types. */
  readonly programs: ReadonlySet<string>;
}

function expand(types: string): Set<string> {
  const found = new Set<string>();
  for (const word of types.split(" ")) {
    const taken = word.startsWith("-");
    const name = taken ? word.slice(1) : word;
    const names = name === "*" ? ALL : name.startsWith("@") ? (GROUPS[name.slice(1)] ?? []) : [name];
    for (const one of names) {
      if (taken) found.delete(one);
      else found.add(one);
    }
  }
  return found;
}

/** Of programs at tracepoints with types, and of iterators: what both may call. */
const TRACED =
  "map_lookup_elem map_update_elem map_delete_elem probe_read ktime_get_ns trace_printk get_prandom_u32 " +
  "get_smp_processor_id tail_call get_current_pid_tgid get_current_uid_gid get_current_comm get_cgroup_classid " +
  "perf_event_read perf_event_output get_stackid get_current_task current_task_under_cgroup get_numa_node_id " +
  "probe_read_str get_socket_cookie perf_event_read_value get_stack get_current_cgroup_id map_push_elem map_pop_elem " +
  "map_peek_elem spin_lock spin_unlock strtol strtoul sk_storage_get sk_storage_delete send_signal skb_output " +
  "probe_read_user probe_read_kernel probe_read_user_str probe_read_kernel_str send_signal_thread jiffies64 " +
  "get_ns_current_pid_tgid xdp_output get_current_ancestor_cgroup_id ktime_get_boot_ns ringbuf_output ringbuf_reserve " +
  "ringbuf_submit ringbuf_discard ringbuf_query skc_to_tcp6_sock skc_to_tcp_sock skc_to_tcp_timewait_sock " +
  "skc_to_tcp_request_sock skc_to_udp6_sock get_task_stack d_path copy_from_user snprintf_btf per_cpu_ptr this_cpu_ptr " +
  "task_storage_get task_storage_delete get_current_task_btf sock_from_file for_each_map_elem snprintf timer_init " +
  "timer_set_callback timer_start timer_cancel get_func_ip task_pt_regs get_branch_snapshot trace_vprintk " +
  "skc_to_unix_sock find_vma loop strncmp xdp_get_buff_len copy_from_user_task kptr_xchg map_lookup_percpu_elem " +
  "skc_to_mptcp_sock dynptr_from_mem ringbuf_reserve_dynptr ringbuf_submit_dynptr ringbuf_discard_dynptr dynptr_read " +
  "dynptr_write dynptr_data ktime_get_tai_ns user_ringbuf_drain cgrp_storage_get cgrp_storage_delete";
const TRACED_ALONE: Readonly<Record<string, string>> = {
  tpBtf: "get_attach_cookie",
  iterator: "seq_printf seq_write seq_printf_btf",
};
/** For iterators alone, and for GPL-compatible ones. */
const ITERATORS: readonly (readonly [name: string, license: "gpl" | "", types: string])[] = [
  ["seq_printf", "gpl", ""],
  ["seq_write", "gpl", ""],
];

const known = new Map(
  [...ROWS, ...ITERATORS].map(([name, license, types]) => [name, { gpl: license === "gpl", programs: expand(types) }]),
);

for (const [kind, alone] of Object.entries(TRACED_ALONE)) {
  for (const name of `${TRACED} ${alone}`.split(" ")) known.get(name)?.programs.add(kind);
}

/** What is known of a helper; null where it was not asked. */
export function helperSupport(name: string): HelperSupport | null {
  return known.get(name) ?? null;
}

/** What the table calls a constructor whose type has several hooks. */
const SAME: Readonly<Record<string, string>> = {
  skSkbVerdict: "skSkb",
  skSkbParser: "skSkb",
  xdpDevmap: "xdp",
  xdpCpumap: "xdp",
  tcAction: "tc",
  skReuseportMigrate: "skReuseport",
  uprobe: "kprobe",
  uretprobe: "kprobe",
  uprobeMulti: "kprobe",
  uretprobeMulti: "kprobe",
  uprobeSession: "kprobe",
  kprobeMulti: "kprobe",
  kretprobeMulti: "kprobe",
  kprobeSession: "kprobe",
  usdt: "kprobe",
  rawTracepointWritable: "rawTracepoint",
  cgroupConnectUnix: "cgroupConnect4",
  cgroupSendmsgUnix: "cgroupSendmsg4",
  cgroupRecvmsgUnix: "cgroupRecvmsg4",
  cgroupGetpeernameUnix: "cgroupGetpeername4",
  cgroupGetsocknameUnix: "cgroupGetsockname4",
};

/** Whether programs of that constructor may call the helper. */
export function isAllowed(support: HelperSupport, program: string): boolean {
  const name = SAME[program] ?? program;
  return !(ALL.includes(name) || TRACED_ALONE[name] !== undefined) || support.programs.has(name);
}

/** The types of `programs` that have a constructor, with the four or more hooks of a group as one. */
export function namePrograms(programs: ReadonlySet<string>): string {
  const rest = new Set([...programs].filter((program) => PROGRAM_KINDS[program] !== undefined));
  const names: string[] = [];
  for (const [group, members] of Object.entries(GROUPS)) {
    if (members.length < 4 || !members.every((one) => rest.has(one))) continue;
    names.push(GROUP_NAMES[group] ?? group);
    for (const one of members) rest.delete(one);
  }
  const order = [...ALL, ...Object.keys(TRACED_ALONE)];
  return [...order.filter((one) => rest.has(one)), ...names].join(", ");
}

const GROUP_NAMES: Readonly<Record<string, string>> = {
  sockAddr: "cgroup hooks of socket addresses",
  cgroupSock: "cgroup hooks of sockets",
  tracing: "tracing programs",
};
