// GCC, without types: maps as they were before they had any.
#include "gcc.h"

struct bpf_map_def {
	unsigned int type;
	unsigned int key_size;
	unsigned int value_size;
	unsigned int max_entries;
	unsigned int map_flags;
};

struct bpf_map_def SEC("maps") first = { .type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 8, .max_entries = 2 };
struct bpf_map_def SEC("maps") second = { .type = BPF_MAP_TYPE_HASH, .key_size = 4, .value_size = 4, .max_entries = 8 };

SEC("xdp")
int note(struct xdp_md *context)
{
	__u32 key = 1, size = context->data_end - context->data;
	__u64 value = size;

	bpf_map_update_elem(&first, &key, &value, 0);
	return bpf_map_update_elem(&second, &size, &key, 0) ? XDP_ABORTED : XDP_PASS;
}
