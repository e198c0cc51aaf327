// Loops that the kernel runs: a callback many times, one for each element of a map, open-coded iterators.
#include "features.h"

struct bpf_iter_num {
	__u64 opaque[1];
} __attribute__((aligned(8)));

extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __ksym;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, int);
	__type(value, long long);
} elements SEC(".maps");

const volatile int rounds = 1000;
long long looped;
long long iterated;
long long of_elements;

static long add_index(__u32 index, void *context)
{
	*(long long *)context += index;
	return index == 9999;
}

static long add_element(void *map, const int *key, long long *value, void *context)
{
	*(long long *)context += *key * *value;
	return 0;
}

static __always_inline void put(int key)
{
	long long value = key * 10;

	bpf_map_update_elem(&elements, &key, &value, 0);
}

SEC("raw_tp/sys_enter")
int loop(void *ctx)
{
	long long sum = 0;

	bpf_loop(rounds, add_index, &sum, 0);
	looped = sum;
	put(1);
	put(2);
	put(3);
	put(4);
	sum = 0;
	bpf_for_each_map_elem(&elements, add_element, &sum, 0);
	of_elements = sum;
	return 0;
}

SEC("raw_tp/sys_enter")
int iterate(void *ctx)
{
	struct bpf_iter_num it;
	int *next;

	bpf_iter_num_new(&it, 0, rounds);
	while ((next = bpf_iter_num_next(&it)))
		iterated += *next;
	bpf_iter_num_destroy(&it);
	return 0;
}
