#include "twin.h"
#include <linux/pkt_cls.h>

// Packets and bytes by class, on tc.
struct counters { u64 packets, bytes, largest; };
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 8);
  __type(key, u32);
  __type(value, struct counters);
} counters SEC(".maps");

SEC("tc") int run(struct __sk_buff *skb) {
  u32 key;
  switch (skb->protocol) {
    case bpf_htons(ETH_P_IP): key = 1; break;
    case bpf_htons(ETH_P_IPV6): key = 2; break;
    case bpf_htons(ETH_P_ARP): key = 3; break;
    case bpf_htons(ETH_P_8021Q): key = 4; break;
    default: key = 0;
  }
  struct counters *c = bpf_map_lookup_elem(&counters, &key);
  if (!c) return TC_ACT_OK;
  u64 length = skb->len;
  c->packets += 1;
  c->bytes += length;
  if (length > c->largest) c->largest = length;
  return TC_ACT_OK;
}
