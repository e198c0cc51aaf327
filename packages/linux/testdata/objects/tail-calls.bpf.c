// A chain of programs through an array that the object fills, from a subprogram as well.
#include "features.h"

int step_one(struct __sk_buff *skb);
int step_two(struct __sk_buff *skb);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 4);
	__uint(key_size, 4);
	__array(values, int(void *));
} steps SEC(".maps") = {
	.values = { [0] = (void *)&step_one, [3] = (void *)&step_two },
};

int trace;

__noinline static int jump(struct __sk_buff *skb)
{
	int missed;

	trace = trace * 10 + 2;
	bpf_tail_call_static(skb, &steps, 3);
	// Hidden from the compiler, which would know the value without the call.
	asm volatile("%0 = -1" : "=r"(missed));
	return missed;
}

SEC("tc")
int entry(struct __sk_buff *skb)
{
	trace = 1;
	bpf_tail_call_static(skb, &steps, 0);
	return -1;
}

SEC("tc")
int step_one(struct __sk_buff *skb)
{
	int missed = jump(skb);

	// What was called in the subprogram gives its value to the subprogram's caller.
	return missed + 100;
}

SEC("tc")
int step_two(struct __sk_buff *skb)
{
	trace = trace * 10 + 3;
	// There is nothing: the call falls through.
	bpf_tail_call_static(skb, &steps, 1);
	return 7;
}
