// An arena with global variables, and casts between address spaces.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define __arena __attribute__((address_space(1)))

struct {
	__uint(type, 33 /* BPF_MAP_TYPE_ARENA */);
	__uint(map_flags, 1 << 10 /* BPF_F_MMAPABLE */);
	__uint(max_entries, 100);
} arena SEC(".maps");

__arena int in_arena = 5;
__arena long zeros[4];

SEC("syscall")
int touch(void *ctx)
{
	int __arena *p = &in_arena;

	zeros[1] = *p;
	return bpf_map_lookup_elem(&arena, &ctx) != 0;
}

char _license[] SEC("license") = "GPL";
