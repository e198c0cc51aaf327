// Static, global, weak and hidden functions, called from several sections and from one another.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

int base = 1;

__noinline static int leaf(int x)
{
	return x * base;
}

__noinline static int middle(int x)
{
	return leaf(x) + leaf(x + 1);
}

__noinline int global(int x)
{
	return middle(x) - 1;
}

__noinline __weak int replaceable(int x)
{
	return x ^ base;
}

__noinline __hidden int hidden(int x)
{
	return global(x) + base;
}

SEC("xdp")
int first(struct xdp_md *ctx)
{
	return leaf(ctx->ingress_ifindex) + global(2);
}

SEC("xdp")
int second(struct xdp_md *ctx)
{
	return replaceable(ctx->rx_queue_index) + hidden(3);
}

SEC("tc")
int third(struct __sk_buff *skb)
{
	return middle(skb->len);
}

SEC("socket")
int alone(struct __sk_buff *skb)
{
	return 0;
}

char _license[] SEC("license") = "GPL";
