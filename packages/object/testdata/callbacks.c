// Addresses of functions: bpf_loop, bpf_for_each_map_elem, timers.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct value {
	struct bpf_timer timer;
	struct bpf_spin_lock lock;
	__u64 count;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, struct value);
} values SEC(".maps");

static int each(void *map, __u32 *key, struct value *value, __u64 *sum)
{
	*sum += value->count;
	return 0;
}

static int step(__u32 index, __u64 *sum)
{
	*sum += index;
	return index > 10;
}

static int expired(void *map, __u32 *key, struct value *value)
{
	bpf_spin_lock(&value->lock);
	value->count++;
	bpf_spin_unlock(&value->lock);
	return 0;
}

SEC("tc")
int calls(struct __sk_buff *skb)
{
	__u32 key = 0;
	__u64 sum = 0;
	struct value *value = bpf_map_lookup_elem(&values, &key);

	if (value) {
		bpf_timer_init(&value->timer, &values, 1);
		bpf_timer_set_callback(&value->timer, expired);
	}
	bpf_for_each_map_elem(&values, each, &sum, 0);
	bpf_loop(20, step, &sum, 0);
	return sum;
}

char _license[] SEC("license") = "GPL";
