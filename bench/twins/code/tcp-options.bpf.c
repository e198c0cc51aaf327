#include "twin.h"

// The largest segment that a SYN offers, counted by its size.
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 64);
  __type(key, u32);
  __type(value, u64);
} sizes SEC(".maps");

SEC("xdp") int run(struct xdp_md *ctx) {
  void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
  struct ethhdr *eth = data;
  struct iphdr *ip = (void *)(eth + 1);
  if ((void *)(ip + 1) > end) return XDP_DROP;
  if (eth->h_proto != bpf_htons(ETH_P_IP) || ip->protocol != IPPROTO_TCP) return XDP_PASS;
  struct tcphdr *tcp = (void *)ip + ip->ihl * 4;
  if ((void *)(tcp + 1) > end) return XDP_DROP;
  if (!tcp->syn) return XDP_PASS;
  u32 left = tcp->doff * 4 - sizeof(*tcp);
  u8 *at = (void *)(tcp + 1);
  u32 mss = 536;
  for (int i = 0; i < 10 && left > 0 && left <= 40; i++) {
    if ((void *)(at + 1) > end) return XDP_DROP;
    u8 kind = at[0];
    if (kind == 0) break;
    if (kind == 1) {
      at += 1;
      left -= 1;
      continue;
    }
    if ((void *)(at + 2) > end) return XDP_DROP;
    u8 length = at[1];
    if (length < 2) return XDP_DROP;
    if (kind == 2) {
      if ((void *)(at + 4) > end) return XDP_DROP;
      mss = (u32)at[2] << 8 | at[3];
      break;
    }
    at += length;
    left -= length;
  }
  u32 slot = mss / 64;
  if (slot > 63) slot = 63;
  u64 *count = bpf_map_lookup_elem(&sizes, &slot);
  if (count) *count += 1;
  return XDP_PASS;
}
