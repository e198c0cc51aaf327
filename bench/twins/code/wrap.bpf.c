#include "twin.h"
#include <linux/pkt_cls.h>

// Calls the program under test eight times; on XDP makes the packet what it was after each, so that every run sees the same one.
struct head { u64 words[12]; };
struct {
  __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
  __uint(max_entries, 1);
  __type(key, u32);
  __type(value, u32);
} target SEC(".maps");
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, u32);
  __type(value, struct head);
} original SEC(".maps");

static __attribute__((noinline)) int call_xdp(struct xdp_md *ctx) {
  bpf_tail_call(ctx, &target, 0);
  int result = XDP_ABORTED;
  asm volatile("" : "+r"(result));
  return result;
}

static __attribute__((noinline)) int call_tc(struct __sk_buff *skb) {
  bpf_tail_call(skb, &target, 0);
  int result = TC_ACT_SHOT;
  asm volatile("" : "+r"(result));
  return result;
}

INLINE int restored(struct xdp_md *ctx, struct head *head) {
  volatile u64 before = ctx->data;
  int result = call_xdp(ctx);
  long moved = before - (u64)ctx->data;
  if (moved) bpf_xdp_adjust_head(ctx, moved);
  void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
  if (data + sizeof(*head) > end) return XDP_ABORTED;
  *(struct head *)data = *head;
  return result;
}

SEC("xdp") int wrap_xdp(struct xdp_md *ctx) {
  u32 zero = 0;
  struct head *head = bpf_map_lookup_elem(&original, &zero);
  if (!head) return XDP_ABORTED;
  int result = 0;
#pragma unroll
  for (int i = 0; i < 8; i++) result = restored(ctx, head);
  return result;
}

SEC("tc") int wrap_tc(struct __sk_buff *skb) {
  int result = 0;
#pragma unroll
  for (int i = 0; i < 8; i++) result = call_tc(skb);
  return result;
}

SEC("xdp") int idle_xdp(struct xdp_md *ctx) { return XDP_PASS; }
SEC("tc") int idle_tc(struct __sk_buff *skb) { return TC_ACT_OK; }
