/**
 * What programs may read and write of their context, by program type (and attach type, after a slash), as kernel 6.18 answers to a
 * load or store of every size at every offset (the `*_is_valid_access` functions of net/core/filter.c, kernel/bpf/cgroup.c and others).
 *
 * Access: `r4:0-16/4` are loads of four bytes at 0, 4, 8, 12 and 16; `w` stores. Pointers: `offset:what` of the fields that are no
 * numbers.
 */
export const contextRows: readonly (readonly [types: string, access: string, pointers: string])[] = [
  [
    "socket_filter",
    "r1:0-71,84-87,164-167,176-179 r2:0-70/2,84,86,164,166,176,178 r4:0-68/4,84,164,176 r8:48,56,168 w1:48-67 w2:48-66/2 w4:48-64/4 w8:48,56",
    "168:sock-common-or-null",
  ],
  ["kprobe", "r1:0-167 r2:0-166/2 r4:0-164/4 r8:0-160/8", ""],
  [
    "sched_cls sched_act",
    "r1:0-75,84-87,160-167,176-180 r2:0-74/2,84,86,160-166/2,176,178 r4:0-84/4,140,160,164,176 r8:48,56,152-184/16 w1:48-67 w2:48-66/2 w4:8,12,32,44-64/4,72 w8:48,56,152",
    "76:packet 80:packet-end 140:packet-meta 168:sock-common-or-null",
  ],
  ["xdp", "r4:0-16/4", "0:packet 4:packet-end 8:packet-meta"],
  ["perf_event", "r1:168-183 r2:168-182/2 r4:168-180/4 r8:0-176/8", ""],
  [
    "lwt_in lwt_out lwt_xmit lwt_seg6local",
    "r1:0-71,84-87,164-167,176-179 r2:0-70/2,84,86,164,166,176,178 r4:0-68/4,76-84/4,164,176 r8:48,56,168 w1:48-67 w2:48-66/2 w4:8,32,48-64/4 w8:48,56",
    "76:packet 80:packet-end 168:sock-common-or-null",
  ],
  [
    "sock_ops",
    "r1:212 r2:212 r4:0-164/4,208,212 r8:168-200/8,216 w4:4,164",
    "184:sock-or-null 192:packet 200:packet-end",
  ],
  ["cgroup_device", "r1:0-3 r2:0,2 r4:0-8/4", ""],
  ["sk_msg", "r4:16-68/4 r8:0,8,72", "0:packet 8:packet-end 72:sock"],
  ["raw_tracepoint", "r1:0-95 r2:0-94/2 r4:0-92/4 r8:0-88/8", ""],
  ["flow_dissector", "r4:76,80 r8:144", "76:packet 80:packet-end 144:flow-keys"],
  ["cgroup_sysctl", "r1:0-7 r2:0-6/2 r4:0,4 w4:4", ""],
  ["raw_tracepoint_writable", "r1:1-95 r2:2-94/2 r4:4-92/4 r8:0-88/8", "0:buffer"],
  [
    "cgroup_skb/cgroup_inet_ingress cgroup_skb/cgroup_inet_egress",
    "r1:0-71,84-91,132-139,164-167,176-179 r2:0-70/2,84-90/2,132-138/2,164,166,176,178 r4:0-68/4,76-136/4,164,176 r8:48,56,152-184/16 w1:48-67 w2:48-66/2 w4:8,32,48-64/4 w8:48,56,152",
    "76:packet 80:packet-end 168:sock-common-or-null",
  ],
  [
    "cgroup_sock/cgroup_inet_sock_create cgroup_sock/cgroup_inet_sock_release",
    "r1:4-12/4,48,49,52-72,76 r2:4-12/4,48,52-72/2,76 r4:0-20/4,48-76/4 w4:0,16,20",
    "",
  ],
  [
    "cgroup_sock/cgroup_inet4_post_bind",
    "r1:4-12/4,24-27,44,48,49,52-72,76 r2:4-12/4,24,26,44-52/4,54-72/2,76 r4:4-12/4,24,44-76/4",
    "",
  ],
  [
    "cgroup_sock/cgroup_inet6_post_bind",
    "r1:4-12/4,28-44,48,49,52-72,76 r2:4-12/4,28-44/2,48,52-72/2,76 r4:4-12/4,28-76/4",
    "",
  ],
  [
    "sk_skb/sk_skb_stream_parser sk_skb/sk_skb_stream_verdict sk_skb/sk_skb_verdict",
    "r1:0-7,12-71,84-91,132-139,164-167,176-179 r2:0-6/2,12-70/2,84-90/2,132-138/2,164,166,176,178 r4:0,4,12-68/4,76-136/4,164,176 r8:48,56,168 w4:32,44",
    "76:packet 80:packet-end 168:sock-common-or-null",
  ],
  [
    "cgroup_sock_addr/cgroup_inet4_bind cgroup_sock_addr/cgroup_inet4_connect cgroup_sock_addr/cgroup_udp4_recvmsg cgroup_sock_addr/cgroup_inet4_getpeername cgroup_sock_addr/cgroup_inet4_getsockname",
    "r1:4-7,24-27 r2:4,6,24,26 r4:0,4,24-36/4 r8:64 w4:4,24",
    "64:sock",
  ],
  [
    "cgroup_sock_addr/cgroup_inet6_bind cgroup_sock_addr/cgroup_inet6_connect cgroup_sock_addr/cgroup_udp6_recvmsg cgroup_sock_addr/cgroup_inet6_getpeername cgroup_sock_addr/cgroup_inet6_getsockname",
    "r1:8-27 r2:8-26/2 r4:0,8-36/4 r8:8,16,64 w4:8-24/4 w8:8,16",
    "64:sock",
  ],
  [
    "cgroup_sock_addr/cgroup_unix_connect cgroup_sock_addr/cgroup_unix_sendmsg cgroup_sock_addr/cgroup_unix_recvmsg cgroup_sock_addr/cgroup_unix_getpeername cgroup_sock_addr/cgroup_unix_getsockname",
    "r1:24-27 r2:24,26 r4:0,24-36/4 r8:64 w4:24",
    "64:sock",
  ],
  [
    "cgroup_sock_addr/cgroup_udp4_sendmsg",
    "r1:4-7,24-27,40-43 r2:4,6,24,26,40,42 r4:0,4,24-40/4 r8:64 w4:4,24,40",
    "64:sock",
  ],
  [
    "cgroup_sock_addr/cgroup_udp6_sendmsg",
    "r1:8-27,44-59 r2:8-26/2,44-58/2 r4:0,8-36/4,44-56/4 r8:8,16,48,64 w4:8-24/4,44-56/4 w8:8,16,48",
    "64:sock",
  ],
  [
    "sk_reuseport/sk_reuseport_select sk_reuseport/sk_reuseport_select_or_migrate",
    "r1:16-19,24-31 r2:16-30/2 r4:16-32/4 r8:0,8,40,48",
    "0:packet 8:packet-end 40:sock 48:sock-common-or-null",
  ],
  ["cgroup_sockopt/cgroup_getsockopt", "r4:24-36/4 r8:0-16/8 w4:32,36", "0:sock 8:packet 16:packet-end"],
  ["cgroup_sockopt/cgroup_setsockopt", "r4:24-32/4 r8:0-16/8 w4:24-32/4", "0:sock 8:packet 16:packet-end"],
  ["sk_lookup/sk_lookup", "r1:8-67 r2:8-66/2 r4:8-64/4 r8:0", "0:sock-or-null"],
  ["netfilter/netfilter", "r8:0,8", "0:trusted:nf_hook_state 8:trusted:sk_buff"],
  // Sockets: what the helpers and fields that give them let a program read.
  ["struct:sock", "r1:4-12/4,24-44,48,49,52-72,76 r2:4-12/4,24-44/2,48,52-72/2,76 r4:0-76/4", ""],
  ["struct:sock-common", "r1:4,24-44,48,49,52-72,76 r2:4,24-44/2,48,52-72/2,76 r4:0,4,24-76/4", ""],
  ["struct:tcp-sock", "r4:0-76/4,96-108/4 r8:80,88", ""],
  ["struct:xdp-sock", "r4:0", ""],
  ["xdp/xdp_devmap", "r4:0-20/4", "0:packet 4:packet-end 8:packet-meta"],
];
