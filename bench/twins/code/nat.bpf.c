#include "twin.h"

// Destination address and port by a table, both checksums mended (RFC 1624).
struct target { __be32 address; __be16 port, pad; };
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 1024);
  __type(key, struct target);
  __type(value, struct target);
} translations SEC(".maps");

INLINE u16 fold(u32 sum) {
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

INLINE u32 differ(u32 from, u32 to) {
  from = ~from;
  return (from & 0xffff) + (from >> 16) + (to & 0xffff) + (to >> 16);
}

SEC("xdp") int run(struct xdp_md *ctx) {
  void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
  struct ethhdr *eth = data;
  struct iphdr *ip = (void *)(eth + 1);
  struct tcphdr *tcp = (void *)(ip + 1);
  if ((void *)(tcp + 1) > end) return XDP_DROP;
  if (eth->h_proto != bpf_htons(ETH_P_IP) || ip->ihl != 5 || ip->protocol != IPPROTO_TCP) return XDP_PASS;
  struct target key = { ip->daddr, tcp->dest, 0 };
  struct target *to = bpf_map_lookup_elem(&translations, &key);
  if (!to) return XDP_PASS;
  u32 address = differ(ip->daddr, to->address);
  u32 port = (u16)~tcp->dest + to->port;
  ip->check = ~fold((u16)~ip->check + address);
  tcp->check = ~fold((u16)~tcp->check + address + port);
  ip->daddr = to->address;
  tcp->dest = to->port;
  return XDP_TX;
}
