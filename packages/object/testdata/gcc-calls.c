// GCC: a ring, several static functions, a program array with a program in it.
#include "gcc.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");

int last(struct __sk_buff *skb);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__uint(key_size, 4);
	__array(values, int(struct __sk_buff *));
} steps SEC(".maps") = { .values = { [1] = &last } };

__noinline static int first(int x)
{
	return x * 3;
}

__noinline static int second(int x)
{
	return x - 7;
}

SEC("tc")
int entry(struct __sk_buff *skb)
{
	int *record = bpf_ringbuf_reserve(&ring, 8, 0);

	if (record) {
		record[0] = first(skb->len);
		record[1] = second(skb->len);
		bpf_ringbuf_submit(record, 0);
	}
	bpf_tail_call(skb, &steps, 1);
	return 1;
}

SEC("tc")
int last(struct __sk_buff *skb)
{
	return 77;
}
