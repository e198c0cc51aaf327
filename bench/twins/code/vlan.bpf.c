#include "twin.h"

// Takes the outer tag off where it is one that is served, and counts by tag.
struct vlan { __be16 tag, type; };
struct tagged { u8 addresses[12]; __be16 type; struct vlan vlan; };
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 4096);
  __type(key, u32);
  __type(value, u64);
} tags SEC(".maps");

SEC("xdp") int run(struct xdp_md *ctx) {
  void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
  struct tagged *frame = data;
  if ((void *)(frame + 1) > end) return XDP_PASS;
  if (frame->type != bpf_htons(ETH_P_8021Q) && frame->type != bpf_htons(ETH_P_8021AD)) return XDP_PASS;
  u32 id = bpf_ntohs(frame->vlan.tag) & 0xfff;
  u64 *count = bpf_map_lookup_elem(&tags, &id);
  if (!count) return XDP_DROP;
  *count += 1;
  u8 addresses[12];
  __builtin_memcpy(addresses, frame->addresses, 12);
  __builtin_memcpy(data + sizeof(struct vlan), addresses, 12);
  if (bpf_xdp_adjust_head(ctx, sizeof(struct vlan))) return XDP_DROP;
  return XDP_TX;
}
