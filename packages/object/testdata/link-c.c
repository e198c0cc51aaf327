// Weak and declared maps, aligned data, an extern that one half alone has; link-d.c has the other half.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct key {
	long x;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, struct key);
	__type(value, struct key);
	__uint(max_entries, 16);
} shared SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, int);
	__type(value, int);
	__uint(max_entries, 3);
} weak_map __weak SEC(".maps");

extern int LINUX_KERNEL_VERSION __kconfig;
char first = 3;
int __hidden secret = 5;

SEC("raw_tp/sys_enter")
int count_enter(void *ctx)
{
	struct key key = { .x = LINUX_KERNEL_VERSION };
	int zero = 0;

	bpf_map_update_elem(&shared, &key, &key, 0);
	return bpf_map_update_elem(&weak_map, &zero, &zero, 0) + first + secret;
}

char LICENSE[] SEC("license") = "GPL";
