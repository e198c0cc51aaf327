#include "twin.h"

// Over the extension headers of IPv6 to what is carried, which is counted.
struct extension { u8 next, length; };
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 256);
  __type(key, u32);
  __type(value, u64);
} carried SEC(".maps");

SEC("xdp") int run(struct xdp_md *ctx) {
  void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
  struct ethhdr *eth = data;
  struct ipv6hdr *ip = (void *)(eth + 1);
  if ((void *)(ip + 1) > end) return XDP_DROP;
  if (eth->h_proto != bpf_htons(ETH_P_IPV6)) return XDP_PASS;
  u8 next = ip->nexthdr;
  void *at = ip + 1;
  for (int i = 0; i < 6; i++) {
    struct extension *header = at;
    if (next == IPPROTO_FRAGMENT) {
      if (at + 8 > end) return XDP_DROP;
      next = header->next;
      at += 8;
    } else if (next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS) {
      if ((void *)(header + 1) > end) return XDP_DROP;
      next = header->next;
      at += (header->length + 1) * 8;
    } else {
      break;
    }
  }
  u32 key = next;
  u64 *count = bpf_map_lookup_elem(&carried, &key);
  if (count) *count += 1;
  if (next != IPPROTO_UDP) return XDP_PASS;
  struct udphdr *udp = at;
  if ((void *)(udp + 1) > end) return XDP_DROP;
  return udp->dest == bpf_htons(53) ? XDP_DROP : XDP_PASS;
}
