#include "twin.h"

// A balancer that encapsulates: the service's table, the backend by hash of the five-tuple, IP in IP, back out.
#define TABLE 1021
struct vip { __be32 address; __be16 port; u8 protocol, pad; };
struct service { u32 index; u32 flags; };
struct backend { __be32 address; u8 mac[6], pad[2]; };
struct stats { u64 packets, bytes; };

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 64);
  __type(key, struct vip);
  __type(value, struct service);
} vips SEC(".maps");
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 4 * TABLE);
  __type(key, u32);
  __type(value, u32);
} table SEC(".maps");
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 64);
  __type(key, u32);
  __type(value, struct backend);
} backends SEC(".maps");
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 64);
  __type(key, u32);
  __type(value, struct stats);
} stats SEC(".maps");

INLINE u32 rol(u32 x, int r) { return x << r | x >> (32 - r); }
#include "jhash.h"

INLINE u16 fold(u32 sum) {
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return ~sum;
}

SEC("xdp") int run(struct xdp_md *ctx) {
  void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
  struct ethhdr *eth = data;
  struct iphdr *ip = (void *)(eth + 1);
  struct udphdr *ports = (void *)(ip + 1);
  if ((void *)(ports + 1) > end) return XDP_DROP;
  if (eth->h_proto != bpf_htons(ETH_P_IP) || ip->ihl != 5) return XDP_PASS;
  if (ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_UDP) return XDP_PASS;
  if (ip->frag_off & bpf_htons(0x3fff)) return XDP_DROP;
  struct vip vip = { ip->daddr, ports->dest, ip->protocol, 0 };
  struct service *service = bpf_map_lookup_elem(&vips, &vip);
  if (!service) return XDP_PASS;
  u32 iv = 0xdeadbeef + (3 << 2);
  u32 hash = jhash_final(bpf_ntohl(ip->saddr) + iv, bpf_ntohl(ip->daddr) + iv,
                         ((u32)bpf_ntohs(ports->source) << 16 | bpf_ntohs(ports->dest)) + iv);
  u32 slot = service->index * TABLE + hash % TABLE;
  u32 *chosen = bpf_map_lookup_elem(&table, &slot);
  if (!chosen) return XDP_DROP;
  u32 number = *chosen;
  struct backend *backend = bpf_map_lookup_elem(&backends, &number);
  if (!backend) return XDP_DROP;
  struct stats *s = bpf_map_lookup_elem(&stats, &number);
  u16 inner = bpf_ntohs(ip->tot_len);
  if (s) {
    s->packets += 1;
    s->bytes += inner;
  }
  u8 tos = ip->tos;
  __be32 local = ip->daddr;
  u8 mac[6];
  __builtin_memcpy(mac, eth->h_dest, 6);
  if (bpf_xdp_adjust_head(ctx, -(int)sizeof(struct iphdr))) return XDP_DROP;
  data = (void *)(long)ctx->data;
  end = (void *)(long)ctx->data_end;
  eth = data;
  ip = (void *)(eth + 1);
  if ((void *)(ip + 1) > end) return XDP_DROP;
  __builtin_memcpy(eth->h_source, mac, 6);
  __builtin_memcpy(eth->h_dest, backend->mac, 6);
  eth->h_proto = bpf_htons(ETH_P_IP);
  ip->version = 4;
  ip->ihl = 5;
  ip->tos = tos;
  ip->tot_len = bpf_htons(inner + sizeof(struct iphdr));
  ip->id = 0;
  ip->frag_off = 0;
  ip->ttl = 64;
  ip->protocol = IPPROTO_IPIP;
  ip->check = 0;
  ip->saddr = local;
  ip->daddr = backend->address;
  u32 sum = 0;
  u16 *word = (void *)ip;
#pragma unroll
  for (int i = 0; i < 10; i++) sum += word[i];
  ip->check = fold(sum);
  return XDP_TX;
}
