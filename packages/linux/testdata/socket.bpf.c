// Programs of sockets and of network namespaces.
#include "common.h"

struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
} ends SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
} streams SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_REUSEPORT_SOCKARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} group SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} listener SEC(".maps");

const volatile __u32 choice = 0;

SEC("socket") int filter(struct __sk_buff *skb)
{
	count(0);
	return choice ? 0 : skb->len;
}

SEC("sk_msg") int to_end(struct sk_msg_md *msg)
{
	__u32 key = 1;

	count(1);
	return bpf_msg_redirect_hash(msg, &ends, &key, BPF_F_INGRESS);
}

SEC("sk_skb/stream_parser") int parse(struct __sk_buff *skb)
{
	count(2);
	return skb->len;
}

SEC("sk_skb/stream_verdict") int splice(struct __sk_buff *skb)
{
	count(3);
	return bpf_sk_redirect_map(skb, &streams, 1, 0);
}

SEC("sk_skb/verdict") int verdict(struct __sk_buff *skb)
{
	count(4);
	return bpf_sk_redirect_map(skb, &streams, 1, 0);
}

SEC("sk_reuseport") int choose(struct sk_reuseport_md *ctx)
{
	__u32 key = choice;

	count(5);
	return bpf_sk_select_reuseport(ctx, &group, &key, 0) ? SK_DROP : SK_PASS;
}

SEC("sk_lookup") int any_port(struct bpf_sk_lookup *ctx)
{
	struct bpf_sock *sk;
	__u32 key = 0;
	long error;

	if (ctx->local_port != 9999)
		return SK_PASS;
	sk = bpf_map_lookup_elem(&listener, &key);
	if (!sk)
		return SK_PASS;
	error = bpf_sk_assign(ctx, sk, 0);
	bpf_sk_release(sk);
	count(6);
	return error ? SK_DROP : SK_PASS;
}

SEC("flow_dissector") int dissect(struct __sk_buff *skb)
{
	struct bpf_flow_keys *keys = skb->flow_keys;

	keys->ip_proto = 17;
	keys->n_proto = bpf_htons(ETH_P_IP);
	return BPF_OK;
}

struct nf_hook_state {
	unsigned char hook;
	unsigned char pf;
} __attribute__((preserve_access_index));

struct bpf_nf_ctx {
	const struct nf_hook_state *state;
	void *skb;
} __attribute__((preserve_access_index));

SEC("netfilter") int hook(struct bpf_nf_ctx *ctx)
{
	count(7);
	put(8, ctx->state->hook);
	return choice ? 0 : 1;
}

SEC("lwt_out") int route_out(struct __sk_buff *skb)
{
	count(9);
	return BPF_OK;
}

SEC("lwt_xmit") int route_xmit(struct __sk_buff *skb)
{
	count(10);
	return BPF_OK;
}

SEC("lwt_in") int route_in(struct __sk_buff *skb)
{
	count(11);
	return BPF_OK;
}
