// The kernel's structures as far as the programs here read them: any part of what `skep btf types` writes will do, since members are found by
// name. Pointers that are never null where they are used here are not typed as such.
import type { Bits, FixedArray, i32, u16, u32, u64, u8 } from "@skep/bpf";

export type Pointer<T> = u64 & { readonly "~pointer"?: T };

export interface task_struct {
  readonly "~btf"?: "struct task_struct";
  pid: i32;
  tgid: i32;
  comm: FixedArray<u8, 16>;
  real_parent: task_struct | null;
  group_leader: task_struct | null;
  start_time: u64;
  sched_reset_on_fork: Bits<u32, 1>;
  policy: Bits<u32, 8>;
}

export interface cgroup_subsys_state {
  readonly "~btf"?: "struct cgroup_subsys_state";
  cgroup: cgroup | null;
}

export interface kernfs_node {
  readonly "~btf"?: "struct kernfs_node";
  id: u64;
}

export interface cgroup {
  readonly "~btf"?: "struct cgroup";
  self: cgroup_subsys_state;
  kn: kernfs_node | null;
  level: i32;
}

export interface vm_area_struct {
  readonly "~btf"?: "struct vm_area_struct";
  vm_start: u64;
  vm_end: u64;
}

export interface file {
  readonly "~btf"?: "struct file";
  f_path: path;
  f_pos: u64;
}

export interface path {
  readonly "~btf"?: "struct path";
}

export interface sk_buff {
  readonly "~btf"?: "struct sk_buff";
  len: u32;
}

export interface nf_hook_state {
  readonly "~btf"?: "struct nf_hook_state";
  hook: u8;
  pf: u8;
}

export interface bpf_nf_ctx {
  readonly "~btf"?: "struct bpf_nf_ctx";
  state: nf_hook_state | null;
  skb: sk_buff | null;
}

export interface bpf_map {
  readonly "~btf"?: "struct bpf_map";
  id: u32;
}

export interface sock_common {
  readonly "~btf"?: "struct sock_common";
  skc_num: u16;
  skc_family: u16;
  skc_state: u8;
}

export interface sock {
  readonly "~btf"?: "struct sock";
  __sk_common: sock_common;
}

export interface tcp_sock {
  readonly "~btf"?: "struct tcp_sock";
  snd_cwnd: u32;
  snd_ssthresh: u32;
  snd_cwnd_cnt: u32;
  prior_cwnd: u32;
}

export interface tcp_congestion_ops {
  readonly "~btf"?: "struct tcp_congestion_ops";
  ssthresh: Pointer<(sk: sock | null) => u32> | null;
  cong_avoid: Pointer<(sk: sock | null, ack: u32, acked: u32) => void> | null;
  undo_cwnd: Pointer<(sk: sock | null) => u32> | null;
  init: Pointer<(sk: sock | null) => void> | null;
  name: FixedArray<u8, 16>;
}

export interface linux_binprm {
  readonly "~btf"?: "struct linux_binprm";
  filename: Pointer<u8> | null;
  argc: i32;
}

export interface bpf_iter__task {
  readonly "~btf"?: "struct bpf_iter__task";
  task: task_struct | null;
}

export interface bpf_iter__task_file {
  readonly "~btf"?: "struct bpf_iter__task_file";
  task: task_struct | null;
  fd: u32;
  file: file | null;
}

export interface bpf_iter__bpf_map_elem {
  readonly "~btf"?: "struct bpf_iter__bpf_map_elem";
  map: bpf_map | null;
  key: Pointer<unknown> | null;
  value: Pointer<unknown> | null;
}

export interface bpf_iter__tcp {
  readonly "~btf"?: "struct bpf_iter__tcp";
  sk_common: sock_common | null;
  uid: u32;
}

export interface bpf_iter__cgroup {
  readonly "~btf"?: "struct bpf_iter__cgroup";
  cgroup: cgroup | null;
}

export declare const bpf_func_id: {
  readonly BPF_FUNC_loop: 181;
  readonly BPF_FUNC_unspec: 0;
};

export declare function bpf_task_from_pid(pid: i32): task_struct | null;
export declare function bpf_task_acquire(task: task_struct): task_struct | null;
export declare function bpf_task_release(task: task_struct): void;
export declare function bpf_cgroup_from_id(id: u64): cgroup | null;
export declare function bpf_cgroup_release(cgroup: cgroup): void;
export declare function bpf_sock_destroy(sock: sock_common): i32;
export declare function tcp_slow_start(tp: tcp_sock, acked: u32): u32;
export declare function tcp_cong_avoid_ai(tp: tcp_sock, w: u32, acked: u32): void;
export declare function bpf_strlen(text: Pointer<u8>): i32;
/** No kernel has this one. */
export declare function bpf_skep_missing(value: u32): i32;
