// A program array with initial values, as libbpf's `__array(values, ...)` writes it.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

int one(struct __sk_buff *skb);
int two(struct __sk_buff *skb);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 4);
	__uint(key_size, sizeof(__u32));
	__array(values, int(void *));
} jumps SEC(".maps") = {
	.values = {
		[0] = (void *)&one,
		[2] = (void *)&two,
	},
};

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 8);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} empty SEC(".maps");

SEC("tc")
int one(struct __sk_buff *skb)
{
	bpf_tail_call(skb, &jumps, 2);
	return 1;
}

SEC("tc")
int two(struct __sk_buff *skb)
{
	return 2;
}

SEC("tc")
int entry(struct __sk_buff *skb)
{
	bpf_tail_call_static(skb, &jumps, 0);
	bpf_tail_call(skb, &empty, skb->len);
	return 0;
}

char _license[] SEC("license") = "GPL";
