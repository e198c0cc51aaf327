// XDP: verdicts, redirection through every kind of map, fragments, metadata.
#include "common.h"

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, struct bpf_devmap_val);
} ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, struct bpf_devmap_val);
} hashed SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_CPUMAP);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct bpf_cpumap_val);
} cpus SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u32);
} sockets SEC(".maps");

SEC("xdp") int pass(struct xdp_md *ctx)
{
	count(0);
	return XDP_PASS;
}

SEC("xdp") int drop(struct xdp_md *ctx)
{
	count(1);
	return XDP_DROP;
}

static __always_inline int is_udp(struct xdp_md *ctx, struct ethhdr **eth)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct iphdr *ip = data + sizeof(**eth);

	*eth = data;
	return (void *)(ip + 1) <= end && (*eth)->h_proto == bpf_htons(ETH_P_IP) && ip->protocol == IPPROTO_UDP;
}

SEC("xdp") int reflect(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth;
	struct iphdr *ip;
	struct udphdr *udp;
	__u8 mac[6];
	__u32 address;
	__u16 port;

	if (!is_udp(ctx, &eth))
		return XDP_PASS;
	ip = data + sizeof(*eth);
	udp = (void *)(ip + 1);
	if ((void *)(udp + 1) > end)
		return XDP_PASS;
	__builtin_memcpy(mac, eth->h_dest, 6);
	__builtin_memcpy(eth->h_dest, eth->h_source, 6);
	__builtin_memcpy(eth->h_source, mac, 6);
	address = ip->saddr;
	ip->saddr = ip->daddr;
	ip->daddr = address;
	port = udp->source;
	udp->source = udp->dest;
	udp->dest = port;
	count(2);
	return XDP_TX;
}

SEC("xdp") int to_port(struct xdp_md *ctx)
{
	struct ethhdr *eth;

	if (!is_udp(ctx, &eth))
		return XDP_PASS;
	count(3);
	return bpf_redirect_map(&ports, 0, XDP_DROP);
}

SEC("xdp") int to_hashed(struct xdp_md *ctx)
{
	struct ethhdr *eth;

	if (!is_udp(ctx, &eth))
		return XDP_PASS;
	count(3);
	return bpf_redirect_map(&hashed, 77, XDP_DROP);
}

SEC("xdp") int to_all(struct xdp_md *ctx)
{
	struct ethhdr *eth;

	if (!is_udp(ctx, &eth))
		return XDP_PASS;
	count(3);
	return bpf_redirect_map(&ports, 0, BPF_F_BROADCAST | BPF_F_EXCLUDE_INGRESS);
}

SEC("xdp/devmap") int at_port(struct xdp_md *ctx)
{
	count(4);
	put(5, ctx->egress_ifindex);
	return XDP_PASS;
}

SEC("xdp") int to_cpu(struct xdp_md *ctx)
{
	struct ethhdr *eth;

	if (!is_udp(ctx, &eth))
		return XDP_PASS;
	count(6);
	return bpf_redirect_map(&cpus, 1, 0);
}

SEC("xdp/cpumap") int at_cpu(struct xdp_md *ctx)
{
	count(7);
	return XDP_PASS;
}

SEC("xdp") int to_socket(struct xdp_md *ctx)
{
	struct ethhdr *eth;

	if (!is_udp(ctx, &eth))
		return XDP_PASS;
	count(8);
	return bpf_redirect_map(&sockets, ctx->rx_queue_index, XDP_PASS);
}

SEC("xdp.frags") int frags(struct xdp_md *ctx)
{
	count(9);
	return XDP_PASS;
}

SEC("xdp") int mark(struct xdp_md *ctx)
{
	__u32 *meta;

	if (bpf_xdp_adjust_meta(ctx, -4))
		return XDP_ABORTED;
	meta = (void *)(long)ctx->data_meta;
	if ((void *)(meta + 1) > (void *)(long)ctx->data)
		return XDP_ABORTED;
	*meta = 0xfeed;
	return XDP_PASS;
}

SEC("tc") int read_mark(struct __sk_buff *skb)
{
	__u32 *meta = (void *)(long)skb->data_meta;

	if ((void *)(meta + 1) <= (void *)(long)skb->data && *meta == 0xfeed)
		count(10);
	return -1;
}

extern int bpf_xdp_metadata_rx_timestamp(const struct xdp_md *ctx, __u64 *timestamp) __ksym;

SEC("xdp") int timestamp(struct xdp_md *ctx)
{
	__u64 time = 0;

	if (bpf_xdp_metadata_rx_timestamp(ctx, &time) == 0)
		count(11);
	return XDP_PASS;
}

SEC("xdp") int inner(struct xdp_md *ctx)
{
	count(12);
	return XDP_DROP;
}

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__array(values, int(void *));
} chain SEC(".maps") = { .values = { (void *)&inner } };

SEC("xdp") int enter(struct xdp_md *ctx)
{
	bpf_tail_call(ctx, &chain, 0);
	return XDP_PASS;
}
