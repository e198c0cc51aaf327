#include "twin.h"

// The sum over a table's entries that are in use, by the kernel's loop.
#define ENTRIES 64
struct entry { u32 used, weight; };
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, ENTRIES);
  __type(key, u32);
  __type(value, struct entry);
} entries SEC(".maps");
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, u32);
  __type(value, u64);
} total SEC(".maps");

struct state { u64 sum; u32 count; };

static long add(u32 index, struct state *state) {
  struct entry *e = bpf_map_lookup_elem(&entries, &index);
  if (!e) return 1;
  if (e->used) {
    state->sum += e->weight;
    state->count += 1;
  }
  return 0;
}

SEC("xdp") int run(struct xdp_md *ctx) {
  struct state state = { 0, 0 };
  bpf_loop(ENTRIES, add, &state, 0);
  u32 zero = 0;
  u64 *t = bpf_map_lookup_elem(&total, &zero);
  if (t) *t = state.sum << 8 | state.count;
  return state.count > 16 ? XDP_PASS : XDP_DROP;
}
