#include "twin.h"
#include <linux/pkt_cls.h>

// Lengths by powers of two, and in steps of 100 bytes, on tc.
struct slots { u64 powers[32], steps[18]; };
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, u32);
  __type(value, struct slots);
} lengths SEC(".maps");

INLINE u32 log2_u32(u32 v) {
  u32 r, shift;
  r = (v > 0xffff) << 4; v >>= r;
  shift = (v > 0xff) << 3; v >>= shift; r |= shift;
  shift = (v > 0xf) << 2; v >>= shift; r |= shift;
  shift = (v > 0x3) << 1; v >>= shift; r |= shift;
  r |= v >> 1;
  return r;
}

SEC("tc") int run(struct __sk_buff *skb) {
  u32 zero = 0;
  struct slots *s = bpf_map_lookup_elem(&lengths, &zero);
  if (!s) return TC_ACT_OK;
  u32 length = skb->len;
  u32 power = log2_u32(length);
  s->powers[power & 31] += 1;
  u64 step = length / 100;
  // Keeps the comparison 64 bits wide: the verifier knows nothing of a quotient's upper half.
  asm volatile("" : "+r"(step));
  if (step > 17) step = 17;
  s->steps[step] += 1;
  return TC_ACT_OK;
}
