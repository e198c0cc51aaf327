/**
 * @module
 * Which helper goes with which type of map (check_map_func_compatibility, kernel/bpf/verifier.c).
 */
const storage = (name: string): readonly string[] => [`${name}_get`, `${name}_delete`, "kptr_xchg"];

const ofMap: Readonly<Record<string, readonly string[]>> = {
  prog_array: ["tail_call"],
  perf_event_array: ["perf_event_read", "perf_event_output", "perf_event_read_value", "skb_output", "xdp_output"],
  ringbuf: [
    "ringbuf_output",
    "ringbuf_reserve",
    "ringbuf_query",
    "ringbuf_reserve_dynptr",
    "ringbuf_submit_dynptr",
    "ringbuf_discard_dynptr",
  ],
  user_ringbuf: ["user_ringbuf_drain"],
  stack_trace: ["get_stackid"],
  cgroup_array: ["skb_under_cgroup", "current_task_under_cgroup"],
  cgroup_storage: ["get_local_storage"],
  percpu_cgroup_storage: ["get_local_storage"],
  devmap: ["redirect_map", "map_lookup_elem"],
  devmap_hash: ["redirect_map", "map_lookup_elem"],
  cpumap: ["redirect_map"],
  xskmap: ["redirect_map", "map_lookup_elem"],
  array_of_maps: ["map_lookup_elem"],
  hash_of_maps: ["map_lookup_elem"],
  sockmap: [
    "sk_redirect_map",
    "sock_map_update",
    "map_delete_elem",
    "msg_redirect_map",
    "sk_select_reuseport",
    "map_lookup_elem",
    "map_update_elem",
  ],
  sockhash: [
    "sk_redirect_hash",
    "sock_hash_update",
    "map_delete_elem",
    "msg_redirect_hash",
    "sk_select_reuseport",
    "map_lookup_elem",
    "map_update_elem",
  ],
  reuseport_sockarray: ["sk_select_reuseport"],
  queue: ["map_peek_elem", "map_pop_elem", "map_push_elem"],
  stack: ["map_peek_elem", "map_pop_elem", "map_push_elem"],
  sk_storage: storage("sk_storage"),
  inode_storage: storage("inode_storage"),
  task_storage: storage("task_storage"),
  cgrp_storage: storage("cgrp_storage"),
  bloom_filter: ["map_peek_elem", "map_push_elem"],
};

const perf = ["perf_event_array"];
const rings = ["ringbuf"];
const sockets = ["sockmap", "sockhash"];
const ofHelper: Readonly<Record<string, readonly string[]>> = {
  tail_call: ["prog_array"],
  perf_event_read: perf,
  perf_event_output: perf,
  perf_event_read_value: perf,
  skb_output: perf,
  xdp_output: perf,
  ringbuf_output: rings,
  ringbuf_reserve: rings,
  ringbuf_query: rings,
  ringbuf_reserve_dynptr: rings,
  user_ringbuf_drain: ["user_ringbuf"],
  get_stackid: ["stack_trace"],
  current_task_under_cgroup: ["cgroup_array"],
  skb_under_cgroup: ["cgroup_array"],
  redirect_map: ["devmap", "devmap_hash", "cpumap", "xskmap"],
  sk_redirect_map: ["sockmap"],
  msg_redirect_map: ["sockmap"],
  sock_map_update: ["sockmap"],
  sk_redirect_hash: ["sockhash"],
  msg_redirect_hash: ["sockhash"],
  sock_hash_update: ["sockhash"],
  get_local_storage: ["cgroup_storage", "percpu_cgroup_storage"],
  sk_select_reuseport: ["reuseport_sockarray", ...sockets],
  map_pop_elem: ["queue", "stack"],
  map_peek_elem: ["queue", "stack", "bloom_filter"],
  map_push_elem: ["queue", "stack", "bloom_filter"],
  map_lookup_percpu_elem: ["percpu_array", "percpu_hash", "lru_percpu_hash"],
  sk_storage_get: ["sk_storage"],
  sk_storage_delete: ["sk_storage"],
  inode_storage_get: ["inode_storage"],
  inode_storage_delete: ["inode_storage"],
  task_storage_get: ["task_storage"],
  task_storage_delete: ["task_storage"],
  cgrp_storage_get: ["cgrp_storage"],
  cgrp_storage_delete: ["cgrp_storage"],
  for_each_map_elem: ["hash", "array", "percpu_hash", "percpu_array", "lru_hash", "lru_percpu_hash"],
};

/** Who may put sockets into a socket map by a plain update (may_update_sockmap). */
const updaters = new Set([
  "tracing",
  "sched_cls",
  "sched_act",
  "sk_skb",
  "sk_msg",
  "sk_reuseport",
  "sk_lookup",
  "socket_filter",
  "xdp",
  "flow_dissector",
]);

export function goesWith(helper: string, mapType: string, programType: string): boolean {
  if (ofMap[mapType]?.includes(helper) === false) return false;
  if (ofHelper[helper]?.includes(mapType) === false) return false;
  if ((mapType === "sockmap" || mapType === "sockhash") && helper === "map_update_elem")
    return updaters.has(programType);
  if ((mapType === "sockmap" || mapType === "sockhash") && helper === "map_delete_elem") {
    return updaters.has(programType) || programType === "sock_ops";
  }
  return true;
}

/** Helpers that change a map: not for maps that programs may only read. */
export const changing = new Set(["map_update_elem", "map_delete_elem", "map_push_elem", "map_pop_elem"]);
