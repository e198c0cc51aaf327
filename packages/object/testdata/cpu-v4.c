// Instructions of version 4: sign extension, signed division, byte swap.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

signed char narrow = -3;
long long wide = 1000;

SEC("socket")
int arithmetic(struct __sk_buff *skb)
{
	long long x = narrow;

	wide = wide / (x | 1) + (short)skb->len % 7;
	__sync_fetch_and_add(&wide, 5);
	return __builtin_bswap32(skb->len) + __builtin_bswap16(skb->mark);
}

char _license[] SEC("license") = "GPL";
