#include "twin.h"

// Answers a ping where it came in.
struct icmphdr { u8 type, code; __be16 checksum, id, sequence; };
enum { ICMP_ECHOREPLY = 0, ICMP_ECHO = 8 };

SEC("xdp") int run(struct xdp_md *ctx) {
  void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
  struct ethhdr *eth = data;
  struct iphdr *ip = (void *)(eth + 1);
  struct icmphdr *icmp = (void *)(ip + 1);
  if ((void *)(icmp + 1) > end) return XDP_PASS;
  if (eth->h_proto != bpf_htons(ETH_P_IP) || ip->ihl != 5 || ip->protocol != IPPROTO_ICMP) return XDP_PASS;
  if (icmp->type != ICMP_ECHO || icmp->code != 0) return XDP_PASS;
  u8 mac[6];
  __builtin_memcpy(mac, eth->h_dest, 6);
  __builtin_memcpy(eth->h_dest, eth->h_source, 6);
  __builtin_memcpy(eth->h_source, mac, 6);
  __be32 address = ip->daddr;
  ip->daddr = ip->saddr;
  ip->saddr = address;
  icmp->type = ICMP_ECHOREPLY;
  u32 sum = (u32)icmp->checksum + bpf_htons(0x0800);
  icmp->checksum = sum + (sum >> 16);
  return XDP_TX;
}
