// Half of a program; link-b.c has the other half.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct stats {
	__u64 packets;
	__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, struct stats);
} totals SEC(".maps");

extern int other_data;
extern const volatile int other_limit;
int common = 1;
int __weak preferred = 10;
static int mine = 7;

int other_function(struct stats *stats, int x);

__noinline static int helper(int x)
{
	return x + mine;
}

__noinline int __weak choose(int x)
{
	return x + 1;
}

SEC("tc")
int entry(struct __sk_buff *skb)
{
	__u32 key = 0;
	struct stats *stats = bpf_map_lookup_elem(&totals, &key);

	if (!stats)
		return 0;
	return other_function(stats, helper(skb->len)) + other_data + other_limit + choose(preferred);
}

char _license[] SEC("license") = "GPL";
