// Orders of the process, drained by a callback.
#include "features.h"

struct {
	__uint(type, BPF_MAP_TYPE_USER_RINGBUF);
	__uint(max_entries, 4096);
} orders SEC(".maps");

long long sum;
int drained;

static long take(struct bpf_dynptr *order, void *context)
{
	long long value = 0;

	if (bpf_dynptr_read(&value, sizeof(value), order, 0, 0))
		return 1;
	*(long long *)context += value;
	return 0;
}

SEC("syscall")
int drain(void *ctx)
{
	long long taken = 0;

	drained = bpf_user_ringbuf_drain(&orders, take, &taken, 0);
	sum += taken;
	return 0;
}
