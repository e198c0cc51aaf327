#include "twin.h"

// A connection's entry, found from either side.
struct tuple { __be32 source, destination; __be16 source_port, destination_port; };
struct connection { u64 packets[2], bytes[2]; u32 state, pad; };

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 4096);
  __type(key, struct tuple);
  __type(value, struct connection);
} connections SEC(".maps");

enum { SYN_SENT = 1, ESTABLISHED = 2, CLOSING = 3 };

SEC("xdp") int run(struct xdp_md *ctx) {
  void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
  struct ethhdr *eth = data;
  struct iphdr *ip = (void *)(eth + 1);
  if ((void *)(ip + 1) > end) return XDP_DROP;
  if (eth->h_proto != bpf_htons(ETH_P_IP) || ip->protocol != IPPROTO_TCP) return XDP_PASS;
  struct tcphdr *tcp = (void *)ip + ip->ihl * 4;
  if ((void *)(tcp + 1) > end) return XDP_DROP;
  u64 length = bpf_ntohs(ip->tot_len);
  struct tuple tuple = { ip->saddr, ip->daddr, tcp->source, tcp->dest };
  struct connection *c = bpf_map_lookup_elem(&connections, &tuple);
  if (c) {
    c->packets[0] += 1;
    c->bytes[0] += length;
    if (tcp->fin || tcp->rst) c->state = CLOSING;
    return XDP_PASS;
  }
  struct tuple reverse = { tuple.destination, tuple.source, tuple.destination_port, tuple.source_port };
  c = bpf_map_lookup_elem(&connections, &reverse);
  if (c) {
    c->packets[1] += 1;
    c->bytes[1] += length;
    if (tcp->fin || tcp->rst) c->state = CLOSING;
    else if (c->state == SYN_SENT && tcp->ack) c->state = ESTABLISHED;
    return XDP_PASS;
  }
  if (!tcp->syn || tcp->ack) return XDP_DROP;
  struct connection fresh = { .packets = { 1, 0 }, .bytes = { length, 0 }, .state = SYN_SENT };
  bpf_map_update_elem(&connections, &tuple, &fresh, BPF_ANY);
  return XDP_PASS;
}
