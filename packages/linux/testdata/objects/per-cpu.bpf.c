// Values of every CPU: its own, another's, and all of them in user space.
#include "features.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, int);
	__type(value, long long);
} slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);
	__uint(max_entries, 16);
	__type(key, int);
	__type(value, int);
} recent SEC(".maps");

const volatile int other = 1;
long long from_other;

SEC("raw_tp/sys_enter")
int add(void *ctx)
{
	int zero = 0, key = 9, value = bpf_get_smp_processor_id() + 1;
	long long *own = bpf_map_lookup_elem(&slots, &zero);
	long long *far = bpf_map_lookup_percpu_elem(&slots, &zero, other);

	if (!own || !far)
		return 1;
	*own += 3;
	from_other = *far;
	return bpf_map_update_elem(&recent, &key, &value, 0);
}
