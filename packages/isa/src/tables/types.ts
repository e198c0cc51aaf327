/**
 * Numbers of the kernel's enums (include/uapi/linux/bpf.h). Names are the kernel's without prefix, in lower case.
 */

/** Program types: enum bpf_prog_type. What an unprefixed name in `ProgramSpec.type` stands for. */
export const programTypes = {
  unspec: 0,
  socket_filter: 1,
  kprobe: 2,
  sched_cls: 3,
  sched_act: 4,
  tracepoint: 5,
  xdp: 6,
  perf_event: 7,
  cgroup_skb: 8,
  cgroup_sock: 9,
  lwt_in: 10,
  lwt_out: 11,
  lwt_xmit: 12,
  sock_ops: 13,
  sk_skb: 14,
  cgroup_device: 15,
  sk_msg: 16,
  raw_tracepoint: 17,
  cgroup_sock_addr: 18,
  lwt_seg6local: 19,
  lirc_mode2: 20,
  sk_reuseport: 21,
  flow_dissector: 22,
  cgroup_sysctl: 23,
  raw_tracepoint_writable: 24,
  cgroup_sockopt: 25,
  tracing: 26,
  struct_ops: 27,
  ext: 28,
  lsm: 29,
  sk_lookup: 30,
  syscall: 31,
  netfilter: 32,
} as const;

/** Map types: enum bpf_map_type. */
export const mapTypes = {
  unspec: 0,
  hash: 1,
  array: 2,
  prog_array: 3,
  perf_event_array: 4,
  percpu_hash: 5,
  percpu_array: 6,
  stack_trace: 7,
  cgroup_array: 8,
  lru_hash: 9,
  lru_percpu_hash: 10,
  lpm_trie: 11,
  array_of_maps: 12,
  hash_of_maps: 13,
  devmap: 14,
  sockmap: 15,
  cpumap: 16,
  xskmap: 17,
  sockhash: 18,
  cgroup_storage: 19,
  reuseport_sockarray: 20,
  percpu_cgroup_storage: 21,
  queue: 22,
  stack: 23,
  sk_storage: 24,
  devmap_hash: 25,
  struct_ops: 26,
  ringbuf: 27,
  inode_storage: 28,
  task_storage: 29,
  bloom_filter: 30,
  user_ringbuf: 31,
  cgrp_storage: 32,
  arena: 33,
  /** Since 6.19. */
  insn_array: 34,
  /** Later than 6.19. */
  rhash: 35,
} as const;

/** Attach types: enum bpf_attach_type. */
export const attachTypes = {
  cgroup_inet_ingress: 0,
  cgroup_inet_egress: 1,
  cgroup_inet_sock_create: 2,
  cgroup_sock_ops: 3,
  sk_skb_stream_parser: 4,
  sk_skb_stream_verdict: 5,
  cgroup_device: 6,
  sk_msg_verdict: 7,
  cgroup_inet4_bind: 8,
  cgroup_inet6_bind: 9,
  cgroup_inet4_connect: 10,
  cgroup_inet6_connect: 11,
  cgroup_inet4_post_bind: 12,
  cgroup_inet6_post_bind: 13,
  cgroup_udp4_sendmsg: 14,
  cgroup_udp6_sendmsg: 15,
  lirc_mode2: 16,
  flow_dissector: 17,
  cgroup_sysctl: 18,
  cgroup_udp4_recvmsg: 19,
  cgroup_udp6_recvmsg: 20,
  cgroup_getsockopt: 21,
  cgroup_setsockopt: 22,
  trace_raw_tp: 23,
  trace_fentry: 24,
  trace_fexit: 25,
  modify_return: 26,
  lsm_mac: 27,
  trace_iter: 28,
  cgroup_inet4_getpeername: 29,
  cgroup_inet6_getpeername: 30,
  cgroup_inet4_getsockname: 31,
  cgroup_inet6_getsockname: 32,
  xdp_devmap: 33,
  cgroup_inet_sock_release: 34,
  xdp_cpumap: 35,
  sk_lookup: 36,
  xdp: 37,
  sk_skb_verdict: 38,
  sk_reuseport_select: 39,
  sk_reuseport_select_or_migrate: 40,
  perf_event: 41,
  trace_kprobe_multi: 42,
  lsm_cgroup: 43,
  struct_ops: 44,
  netfilter: 45,
  tcx_ingress: 46,
  tcx_egress: 47,
  trace_uprobe_multi: 48,
  cgroup_unix_connect: 49,
  cgroup_unix_sendmsg: 50,
  cgroup_unix_recvmsg: 51,
  cgroup_unix_getpeername: 52,
  cgroup_unix_getsockname: 53,
  netkit_primary: 54,
  netkit_peer: 55,
  trace_kprobe_session: 56,
  trace_uprobe_session: 57,
  // From here on later than 6.18.
  trace_fsession: 58,
  trace_fentry_multi: 59,
  trace_fexit_multi: 60,
  trace_fsession_multi: 61,
} as const;

/** Link types: enum bpf_link_type. */
export const linkTypes = {
  unspec: 0,
  raw_tracepoint: 1,
  tracing: 2,
  cgroup: 3,
  iter: 4,
  netns: 5,
  xdp: 6,
  perf_event: 7,
  kprobe_multi: 8,
  struct_ops: 9,
  netfilter: 10,
  tcx: 11,
  uprobe_multi: 12,
  netkit: 13,
  sockmap: 14,
  tracing_multi: 15,
} as const;

/** Commands of bpf(2): enum bpf_cmd. */
export const commands = {
  map_create: 0,
  map_lookup_elem: 1,
  map_update_elem: 2,
  map_delete_elem: 3,
  map_get_next_key: 4,
  prog_load: 5,
  obj_pin: 6,
  obj_get: 7,
  prog_attach: 8,
  prog_detach: 9,
  prog_test_run: 10,
  prog_run: 10,
  prog_get_next_id: 11,
  map_get_next_id: 12,
  prog_get_fd_by_id: 13,
  map_get_fd_by_id: 14,
  obj_get_info_by_fd: 15,
  prog_query: 16,
  raw_tracepoint_open: 17,
  btf_load: 18,
  btf_get_fd_by_id: 19,
  task_fd_query: 20,
  map_lookup_and_delete_elem: 21,
  map_freeze: 22,
  btf_get_next_id: 23,
  map_lookup_batch: 24,
  map_lookup_and_delete_batch: 25,
  map_update_batch: 26,
  map_delete_batch: 27,
  link_create: 28,
  link_update: 29,
  link_get_fd_by_id: 30,
  link_get_next_id: 31,
  enable_stats: 32,
  iter_create: 33,
  link_detach: 34,
  prog_bind_map: 35,
  token_create: 36,
  prog_stream_read_by_fd: 37,
  prog_assoc_struct_ops: 38,
} as const;

/** Flags of BPF_MAP_CREATE (BPF_F_*). */
export const mapFlags = {
  no_prealloc: 1 << 0,
  no_common_lru: 1 << 1,
  numa_node: 1 << 2,
  rdonly: 1 << 3,
  wronly: 1 << 4,
  stack_build_id: 1 << 5,
  zero_seed: 1 << 6,
  rdonly_prog: 1 << 7,
  wronly_prog: 1 << 8,
  clone: 1 << 9,
  mmapable: 1 << 10,
  preserve_elems: 1 << 11,
  inner_map: 1 << 12,
  link: 1 << 13,
  path_fd: 1 << 14,
  vtype_btf_obj_fd: 1 << 15,
  token_fd: 1 << 16,
  segv_on_fault: 1 << 17,
  no_user_conv: 1 << 18,
  rb_overwrite: 1 << 19,
} as const;

/** Flags of BPF_PROG_LOAD (BPF_F_*). */
export const programFlags = {
  strict_alignment: 1 << 0,
  any_alignment: 1 << 1,
  test_rnd_hi32: 1 << 2,
  test_state_freq: 1 << 3,
  sleepable: 1 << 4,
  xdp_has_frags: 1 << 5,
  xdp_dev_bound_only: 1 << 6,
  test_reg_invariants: 1 << 7,
  token_fd: 1 << 16,
} as const;

/** Flags of map updates and lookups: BPF_ANY and the rest. */
export const elementFlags = { any: 0, noexist: 1, exist: 2, lock: 4, cpu: 8, all_cpus: 16 } as const;

/** The name of a program type. */
export type ProgramTypeName = keyof typeof programTypes;
/** The name of a map type. */
export type MapTypeName = keyof typeof mapTypes;
/** The name of an attach type. */
export type AttachTypeName = keyof typeof attachTypes;
/** The name of a link type. */
export type LinkTypeName = keyof typeof linkTypes;

function lookups(table: Readonly<Record<string, number>>): {
  readonly number: (name: string) => number | null;
  readonly name: (number: number) => string | null;
} {
  const names = new Map<number, string>();
  for (const [name, number] of Object.entries(table)) {
    if (!names.has(number)) names.set(number, name);
  }
  return {
    number: (name) => (Object.hasOwn(table, name) ? (table[name] ?? null) : null),
    name: (number) => names.get(number) ?? null,
  };
}

const program = lookups(programTypes);
const map = lookups(mapTypes);
const attach = lookups(attachTypes);
const link = lookups(linkTypes);

/** The number of a program type by name, null if there is none. */
export function programTypeNumber(name: string): number | null {
  return program.number(name);
}

/** The name of a program type by number, null if it is not known. */
export function programTypeName(number: number): ProgramTypeName | null {
  return program.name(number) as ProgramTypeName | null;
}

/** The number of a map type by name, null if there is none. */
export function mapTypeNumber(name: string): number | null {
  return map.number(name);
}

/** The name of a map type by number, null if it is not known. */
export function mapTypeName(number: number): MapTypeName | null {
  return map.name(number) as MapTypeName | null;
}

/** The number of an attach type by name, null if there is none. */
export function attachTypeNumber(name: string): number | null {
  return attach.number(name);
}

/** The name of an attach type by number, null if it is not known. */
export function attachTypeName(number: number): AttachTypeName | null {
  return attach.name(number) as AttachTypeName | null;
}

/** The name of a link type by number, null if it is not known. */
export function linkTypeName(number: number): LinkTypeName | null {
  return link.name(number) as LinkTypeName | null;
}
