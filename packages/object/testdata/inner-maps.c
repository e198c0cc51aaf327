// Maps of maps: with initial values, named and anonymous inner maps, a hash of maps of ring buffers.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct inner {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, __u64);
} blue SEC(".maps"), green SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 4);
	__type(key, __u32);
	__array(values, struct inner);
} colors SEC(".maps") = {
	.values = { [1] = &green, [3] = &blue },
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 16);
	__type(key, __u64);
	__array(values, struct {
		__uint(type, BPF_MAP_TYPE_ARRAY);
		__uint(max_entries, 1);
		__uint(key_size, 4);
		__uint(value_size, 16);
	});
} by_cookie SEC(".maps");

SEC("tc")
int lookup(struct __sk_buff *skb)
{
	__u32 index = 1, key = skb->ifindex;
	__u64 cookie = skb->len, *value;
	void *inner = bpf_map_lookup_elem(&colors, &index);

	if (inner) {
		value = bpf_map_lookup_elem(inner, &key);
		if (value)
			return *value;
	}
	return bpf_map_lookup_elem(&by_cookie, &cookie) != 0;
}

char _license[] SEC("license") = "GPL";
