// One half of a program; half-b.bpf.c has the other.
#include "features.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, int);
	__type(value, int);
} shared SEC(".maps");

extern int from_b;
int from_a = 5;
int other(int x);

SEC("raw_tp/sys_enter")
int entry(void *ctx)
{
	int key = 1, value = other(from_b);

	bpf_map_update_elem(&shared, &key, &value, 0);
	return value;
}
