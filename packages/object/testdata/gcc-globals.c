// GCC: global and static data, functions of both linkages, a map with types.
#include "gcc.h"

struct value {
	__u64 packets;
	__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, struct value);
} flows SEC(".maps");

int counter = 40;
int zeroed;
static int own = 3;
const volatile int factor = 2;
const char text[] = "gcc";

__noinline static int twice(int x)
{
	return x * 2;
}

__noinline int global(int x)
{
	return x + 1;
}

SEC("tc")
int entry(struct __sk_buff *skb)
{
	__u32 key = skb->len;
	struct value fresh = { .packets = 1, .bytes = skb->len }, *value;

	value = bpf_map_lookup_elem(&flows, &key);
	if (value)
		value->packets++;
	else
		bpf_map_update_elem(&flows, &key, &fresh, 0);
	counter += factor + own;
	zeroed++;
	own++;
	return twice(global(counter)) + text[0];
}
