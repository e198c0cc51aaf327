// The other half of link-c.c.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

// The order of members, and names for the same type, do not matter.
typedef struct key {
	long x;
} key_type;

extern struct {
	__uint(max_entries, 16);
	__type(value, key_type);
	__type(key, key_type);
	__uint(type, BPF_MAP_TYPE_HASH);
} shared SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, int);
	__type(value, int);
	__uint(max_entries, 3);
} weak_map __weak SEC(".maps");

extern int secret;
int lined __attribute__((aligned(64))) = 9;

SEC("raw_tp/sys_exit")
int count_exit(void *ctx)
{
	key_type key = { .x = secret + lined };
	int zero = 0;

	bpf_map_lookup_elem(&weak_map, &zero);
	return bpf_map_lookup_elem(&shared, &key) != 0;
}

char LICENSE[] SEC("license") = "GPL";
