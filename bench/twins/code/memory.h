// A compute kernel: u64 body(u8 *m) over a buffer of 4096 bytes.
#include "twin.h"

struct buf { u8 b[4096]; };
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, u32);
  __type(value, struct buf);
} mem SEC(".maps");

u64 result;

INLINE u32 rol(u32 x, int r) { return x << r | x >> (32 - r); }
INLINE u64 rol64(u64 x, int r) { return x << r | x >> (64 - r); }
INLINE u64 body(u8 *m);

SEC("xdp") int run(struct xdp_md *ctx) {
  u32 zero = 0;
  struct buf *b = bpf_map_lookup_elem(&mem, &zero);
  if (!b) return XDP_ABORTED;
  result = body(b->b);
  return XDP_PASS;
}
