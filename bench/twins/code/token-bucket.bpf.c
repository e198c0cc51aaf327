#include "twin.h"

// So many packets a second from each source.
#define SECOND 1000000000ull
#define RATE 100000ull
#define BURST 1000000000ull
struct bucket { u64 time, tokens; };
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 4096);
  __type(key, __be32);
  __type(value, struct bucket);
} buckets SEC(".maps");

INLINE int take(struct bucket *bucket, u64 wanted, u64 now) {
  u64 tokens = bucket->tokens, passed = now - bucket->time;
  if (passed >= SECOND) tokens += RATE;
  else tokens += passed * RATE / SECOND;
  if (tokens > BURST) tokens = BURST;
  bucket->time = now;
  if (tokens < wanted) {
    bucket->tokens = tokens;
    return 0;
  }
  bucket->tokens = tokens - wanted;
  return 1;
}

SEC("xdp") int run(struct xdp_md *ctx) {
  void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
  struct ethhdr *eth = data;
  struct iphdr *ip = (void *)(eth + 1);
  if ((void *)(ip + 1) > end) return XDP_DROP;
  if (eth->h_proto != bpf_htons(ETH_P_IP)) return XDP_PASS;
  u64 now = bpf_ktime_get_ns();
  __be32 source = ip->saddr;
  struct bucket *bucket = bpf_map_lookup_elem(&buckets, &source);
  if (bucket) return take(bucket, 1, now) ? XDP_PASS : XDP_DROP;
  struct bucket fresh = { now, BURST - 1 };
  bpf_map_update_elem(&buckets, &source, &fresh, BPF_ANY);
  return XDP_PASS;
}
