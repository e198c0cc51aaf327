// Maps from before they had types: section `maps` of plain numbers.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct legacy_map {
	unsigned int type;
	unsigned int key_size;
	unsigned int value_size;
	unsigned int max_entries;
	unsigned int map_flags;
};

struct legacy_map counts SEC("maps") = {
	.type = BPF_MAP_TYPE_HASH,
	.key_size = 4,
	.value_size = 8,
	.max_entries = 32,
	.map_flags = BPF_F_NO_PREALLOC,
};

struct legacy_map jumps SEC("maps/jumps") = {
	.type = BPF_MAP_TYPE_PROG_ARRAY,
	.key_size = 4,
	.value_size = 4,
	.max_entries = 2,
};

SEC("xdp")
int legacy(struct xdp_md *ctx)
{
	__u32 key = ctx->ingress_ifindex;
	__u64 one = 1, *count = bpf_map_lookup_elem(&counts, &key);

	if (count)
		__sync_fetch_and_add(count, 1);
	else
		bpf_map_update_elem(&counts, &key, &one, 0);
	bpf_tail_call(ctx, &jumps, 1);
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
