#include "twin.h"

// One hop: the route by longest prefix, one TTL less, the addresses of the next hop.
struct prefix { u32 length; __be32 address; };
struct route { u32 port; u8 source[6], destination[6]; };
struct counters { u64 packets, bytes; };
struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(max_entries, 1024);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, struct prefix);
  __type(value, struct route);
} routes SEC(".maps");
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 16);
  __type(key, u32);
  __type(value, struct counters);
} ports SEC(".maps");

SEC("xdp") int run(struct xdp_md *ctx) {
  void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
  struct ethhdr *eth = data;
  struct iphdr *ip = (void *)(eth + 1);
  if ((void *)(ip + 1) > end) return XDP_DROP;
  if (eth->h_proto != bpf_htons(ETH_P_IP)) return XDP_PASS;
  if (ip->ttl <= 1) return XDP_PASS;
  struct prefix key = { 32, ip->daddr };
  struct route *route = bpf_map_lookup_elem(&routes, &key);
  if (!route) return XDP_PASS;
  u32 sum = ip->check + bpf_htons(0x0100);
  ip->check = sum + (sum >= 0xffff);
  ip->ttl--;
  __builtin_memcpy(eth->h_dest, route->destination, 6);
  __builtin_memcpy(eth->h_source, route->source, 6);
  u32 port = route->port;
  struct counters *c = bpf_map_lookup_elem(&ports, &port);
  if (c) {
    c->packets += 1;
    c->bytes += end - data;
  }
  return XDP_TX;
}
