// The other half of half-a.bpf.c.
#include "features.h"

extern struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, int);
	__type(value, int);
} shared SEC(".maps");

extern int from_a;
int from_b = 30;

__noinline int other(int x)
{
	int key = 2, value = from_a;

	bpf_map_update_elem(&shared, &key, &value, 0);
	return x + from_a;
}
