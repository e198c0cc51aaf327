#include "twin.h"

// Sources by longest prefix, then services by exact protocol and port.
struct prefix { u32 length; __be32 address; };
struct service { __be16 port; u8 protocol, pad; };
struct rule { u32 verdict, index; };

struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(max_entries, 1024);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, struct prefix);
  __type(value, struct rule);
} sources SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 1024);
  __type(key, struct service);
  __type(value, struct rule);
} services SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 64);
  __type(key, u32);
  __type(value, u64);
} hits SEC(".maps");

INLINE int apply(struct rule *rule) {
  u32 key = rule->index;
  u64 *hit = bpf_map_lookup_elem(&hits, &key);
  if (hit) *hit += 1;
  return rule->verdict;
}

SEC("xdp") int run(struct xdp_md *ctx) {
  void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
  struct ethhdr *eth = data;
  struct iphdr *ip = (void *)(eth + 1);
  if ((void *)(ip + 1) > end) return XDP_DROP;
  if (eth->h_proto != bpf_htons(ETH_P_IP)) return XDP_PASS;
  struct prefix prefix = { 32, ip->saddr };
  struct rule *rule = bpf_map_lookup_elem(&sources, &prefix);
  if (rule) return apply(rule);
  if (ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_UDP) return XDP_PASS;
  struct udphdr *ports = (void *)ip + ip->ihl * 4;
  if ((void *)(ports + 1) > end) return XDP_DROP;
  struct service service = { ports->dest, ip->protocol, 0 };
  rule = bpf_map_lookup_elem(&services, &service);
  return rule ? apply(rule) : XDP_PASS;
}
