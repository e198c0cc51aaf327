// No type information at all.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

static int state;
const volatile int start = 5;

__attribute__((noinline)) static int twice(int x)
{
	return x * 2 + state;
}

SEC("socket")
int untyped(struct __sk_buff *skb)
{
	state += start;
	return twice(skb->len);
}

char _license[] SEC("license") = "GPL";
