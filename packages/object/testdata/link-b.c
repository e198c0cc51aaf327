// The other half of link-a.c.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct stats {
	__u64 packets;
	__u64 bytes;
};

extern struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, struct stats);
} totals SEC(".maps");

extern int common;
int other_data = 20;
const volatile int other_limit = 30;
int preferred = 11;
static int mine = 70;

__noinline static int helper(int x)
{
	return x * mine;
}

__noinline int other_function(struct stats *stats, int x)
{
	if (stats)
		stats->packets += helper(x);
	return common;
}

__noinline int choose(int x)
{
	return x + 2;
}

SEC("tc")
int side(struct __sk_buff *skb)
{
	__u32 key = 1;

	return bpf_map_lookup_elem(&totals, &key) != 0;
}

char _license[] SEC("license") = "GPL";
