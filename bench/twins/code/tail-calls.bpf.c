#include "twin.h"

// A parser in three programs, each of which hands the packet on.
struct {
  __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
  __uint(max_entries, 4);
  __type(key, u32);
  __type(value, u32);
} stages SEC(".maps");
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 4);
  __type(key, u32);
  __type(value, u64);
} passed SEC(".maps");

INLINE void count(u32 stage) {
  u64 *c = bpf_map_lookup_elem(&passed, &stage);
  if (c) *c += 1;
}

SEC("xdp") int run(struct xdp_md *ctx) {
  void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
  struct ethhdr *eth = data;
  if ((void *)(eth + 1) > end) return XDP_DROP;
  count(0);
  if (eth->h_proto == bpf_htons(ETH_P_IP)) bpf_tail_call(ctx, &stages, 1);
  return XDP_PASS;
}

SEC("xdp") int network(struct xdp_md *ctx) {
  void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
  struct iphdr *ip = data + sizeof(struct ethhdr);
  if ((void *)(ip + 1) > end || ip->ihl != 5) return XDP_DROP;
  count(1);
  if (ip->protocol == IPPROTO_TCP) bpf_tail_call(ctx, &stages, 2);
  return XDP_PASS;
}

SEC("xdp") int transport(struct xdp_md *ctx) {
  void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
  struct tcphdr *tcp = data + sizeof(struct ethhdr) + sizeof(struct iphdr);
  if ((void *)(tcp + 1) > end) return XDP_DROP;
  count(2);
  return tcp->dest == bpf_htons(80) ? XDP_TX : XDP_PASS;
}
