// A program with what most programs have: maps, global data, packet access, atomics, subprograms, long jumps.
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 16);
  __type(key, __u32);
  __type(value, __u64);
} counts SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 4);
  __type(key, __u32);
  __type(value, __u64);
} slots SEC(".maps");

// Signed division came with v4.
#if __BPF_CPU_VERSION__ >= 4
typedef __s32 number;
#else
typedef __u32 number;
#endif

__u64 total = 5;
const volatile __s32 factor = 3;

static __noinline int mix(number a, number b) {
  bpf_printk("mix %d %d", a, b);
  return (b ? a / b : 1) + a % (b | 1) + (__s16)b;
}

static long step(__u32 index, void *context) {
  __u64 *sum = context;
  *sum += index ^ 0x55;
  return 0;
}

SEC("xdp")
int packets(struct xdp_md *context) {
  unsigned char *data = (void *)(long)context->data;
  unsigned char *end = (void *)(long)context->data_end;
  __u32 key = context->rx_queue_index;
  __u64 sum = 0x1122334455667788;
  if (data + 34 > end) return XDP_DROP;
  __u64 *count = bpf_map_lookup_elem(&counts, &key);
  if (count) {
    __sync_fetch_and_add(count, 1);
    total += __sync_fetch_and_add(count, 7);
    total ^= __sync_val_compare_and_swap(count, 3, 4);
    total -= __sync_lock_test_and_set(count, 9);
    __sync_fetch_and_or((__u32 *)count, 1);
    total |= __sync_fetch_and_xor((__u32 *)count, 6);
  }
  key &= 3;
  count = bpf_map_lookup_elem(&slots, &key);
  if (count) *count += bpf_ntohs(*(__u16 *)(data + 12));
  bpf_loop(10, step, &sum, 0);
  total += sum + (signed char)data[3] + *(__s32 *)(data + 16) + __builtin_bswap64(sum) + -sum;
  if ((__s64)sum < -5 || (__s32)sum > 100) return XDP_PASS;
  return mix(data[12], factor);
}

char LICENSE[] SEC("license") = "GPL";
