// A timer in a map's value, whose callback starts it again.
#include "features.h"

struct value {
	struct bpf_timer timer;
	int rounds;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, struct value);
} timers SEC(".maps");

int fired;
int key_seen = -1;

static int fire(void *map, int *key, struct value *value)
{
	key_seen = *key;
	fired = ++value->rounds;
	if (value->rounds < 3)
		bpf_timer_start(&value->timer, 1000000, 0);
	return 0;
}

SEC("syscall")
int start(void *ctx)
{
	int key = 0;
	struct value *value = bpf_map_lookup_elem(&timers, &key);

	if (!value || bpf_timer_init(&value->timer, &timers, 1 /* CLOCK_MONOTONIC */))
		return 1;
	bpf_timer_set_callback(&value->timer, fire);
	return bpf_timer_start(&value->timer, 1000000, 0);
}
