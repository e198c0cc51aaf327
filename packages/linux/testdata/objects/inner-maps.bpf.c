// Maps of maps that the object fills: by place and by key, with inner maps of several sizes.
#include "features.h"

struct inner_array {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_INNER_MAP);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, int);
} small SEC(".maps");

struct inner_large {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_INNER_MAP);
	__uint(max_entries, 9);
	__type(key, int);
	__type(value, int);
} large SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 3);
	__type(key, int);
	__array(values, struct inner_array);
} by_place SEC(".maps") = {
	.values = { [0] = &small, [2] = (void *)&large },
};

struct inner_hash {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__type(key, int);
	__type(value, long long);
} counted SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 3);
	__type(key, int);
	__array(values, struct inner_hash);
} by_key SEC(".maps") = {
	.values = { [1] = &counted },
};

int written;

static int write_last(void *outer, int place, int last)
{
	void *inner = bpf_map_lookup_elem(outer, &place);
	int value = place * 100 + last;

	if (!inner)
		return 0;
	return bpf_map_update_elem(inner, &last, &value, 0) == 0;
}

SEC("raw_tp/sys_enter")
int fill(void *ctx)
{
	int one = 1, key = 5;
	long long value = 55;
	void *inner = bpf_map_lookup_elem(&by_key, &one);

	written = write_last(&by_place, 0, 0) + write_last(&by_place, 1, 0) + write_last(&by_place, 2, 8);
	if (inner)
		written += bpf_map_update_elem(inner, &key, &value, 0) == 0;
	return written;
}
