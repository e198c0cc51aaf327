#include "twin.h"

// Ethernet, up to two VLAN tags, IPv4 with options or IPv6, then the ports: counts by protocol, drops DNS.
struct vlan { __be16 tag, type; };

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 256);
  __type(key, u32);
  __type(value, u64);
} protocols SEC(".maps");

SEC("xdp") int run(struct xdp_md *ctx) {
  void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
  struct ethhdr *eth = data;
  if ((void *)(eth + 1) > end) return XDP_DROP;
  __be16 type = eth->h_proto;
  void *at = eth + 1;
#pragma unroll
  for (int i = 0; i < 2; i++) {
    if (type != bpf_htons(ETH_P_8021Q) && type != bpf_htons(ETH_P_8021AD)) break;
    struct vlan *tag = at;
    if ((void *)(tag + 1) > end) return XDP_DROP;
    type = tag->type;
    at = tag + 1;
  }
  u8 protocol;
  if (type == bpf_htons(ETH_P_IP)) {
    struct iphdr *ip = at;
    if ((void *)(ip + 1) > end || ip->ihl < 5) return XDP_DROP;
    protocol = ip->protocol;
    at += ip->ihl * 4;
  } else if (type == bpf_htons(ETH_P_IPV6)) {
    struct ipv6hdr *ip = at;
    if ((void *)(ip + 1) > end) return XDP_DROP;
    protocol = ip->nexthdr;
    at = ip + 1;
  } else {
    return XDP_PASS;
  }
  u32 key = protocol;
  u64 *count = bpf_map_lookup_elem(&protocols, &key);
  if (count) *count += 1;
  if (protocol == IPPROTO_UDP) {
    struct udphdr *udp = at;
    if ((void *)(udp + 1) > end) return XDP_DROP;
    return udp->dest == bpf_htons(53) || udp->source == bpf_htons(53) ? XDP_DROP : XDP_PASS;
  }
  if (protocol == IPPROTO_TCP) {
    struct tcphdr *tcp = at;
    if ((void *)(tcp + 1) > end) return XDP_DROP;
    return tcp->dest == bpf_htons(53) ? XDP_DROP : XDP_PASS;
  }
  return XDP_PASS;
}
