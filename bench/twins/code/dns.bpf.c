#include "twin.h"

// The name that a DNS query asks for, hashed without regard to case (FNV-1a), among those that are blocked.
struct dns { __be16 id, flags, questions, answers, authorities, additional; };
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 1024);
  __type(key, u32);
  __type(value, u64);
} blocked SEC(".maps");

SEC("xdp") int run(struct xdp_md *ctx) {
  void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
  struct ethhdr *eth = data;
  struct iphdr *ip = (void *)(eth + 1);
  struct udphdr *udp = (void *)(ip + 1);
  struct dns *dns = (void *)(udp + 1);
  if ((void *)(dns + 1) > end) return XDP_PASS;
  if (eth->h_proto != bpf_htons(ETH_P_IP) || ip->ihl != 5 || ip->protocol != IPPROTO_UDP) return XDP_PASS;
  if (udp->dest != bpf_htons(53) || dns->flags & bpf_htons(0x8000) || dns->questions != bpf_htons(1)) return XDP_PASS;
  u8 *at = (void *)(dns + 1);
  u32 hash = 0x811c9dc5;
  u32 label = 0;
  for (int i = 0; i < 64; i++) {
    if ((void *)(at + 1) > end) return XDP_DROP;
    u8 byte = *at++;
    if (label == 0) {
      if (byte == 0) break;
      if (byte > 63) return XDP_DROP;
      label = byte;
    } else {
      label--;
      if (byte >= 'A' && byte <= 'Z') byte += 32;
    }
    hash = (hash ^ byte) * 0x01000193;
  }
  u64 *hits = bpf_map_lookup_elem(&blocked, &hash);
  if (!hits) return XDP_PASS;
  *hits += 1;
  return XDP_DROP;
}
