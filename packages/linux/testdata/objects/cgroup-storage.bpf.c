// Memory that belongs to a cgroup: shared, and of every CPU.
#include "features.h"

struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_STORAGE);
	__type(key, struct bpf_cgroup_storage_key);
	__type(value, long long);
} shared SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE);
	__type(key, struct bpf_cgroup_storage_key);
	__type(value, long long);
} of_cpu SEC(".maps");

long long seen;

SEC("cgroup_skb/egress")
int count(struct __sk_buff *skb)
{
	long long *both = bpf_get_local_storage(&shared, 0);
	long long *own = bpf_get_local_storage(&of_cpu, 0);

	__sync_fetch_and_add(both, 1);
	*own += skb->len;
	seen = *both;
	return 1;
}
