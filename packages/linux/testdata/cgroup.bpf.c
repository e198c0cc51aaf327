// Every hook of a cgroup: counts, and does what `mode` says.
#include "common.h"

__u32 mode = 0;
const volatile __u32 to_address = 0;
const volatile __u16 to_port = 0;

/* What service load balancing does: another destination on the way out, the old one on the way back. */
SEC("cgroup/connect4") int connect4(struct bpf_sock_addr *ctx)
{
	count(0);
	if (mode == 1)
		return 0;
	if (mode == 2) {
		bpf_set_retval(-111);
		return 0;
	}
	if (mode == 3) {
		put(40, ctx->user_ip4);
		put(41, ctx->user_port);
		ctx->user_ip4 = to_address;
		ctx->user_port = bpf_htons(to_port);
	}
	return 1;
}

SEC("cgroup/getpeername4") int getpeername4(struct bpf_sock_addr *ctx)
{
	count(1);
	if (mode == 3) {
		ctx->user_ip4 = bpf_htonl(0x0a4dffff);
		ctx->user_port = bpf_htons(80);
	}
	return 1;
}

SEC("cgroup/getsockname4") int getsockname4(struct bpf_sock_addr *ctx)
{
	count(2);
	return 1;
}

SEC("cgroup/sendmsg4") int sendmsg4(struct bpf_sock_addr *ctx)
{
	count(3);
	if (mode == 1)
		return 0;
	if (mode == 3) {
		ctx->user_ip4 = to_address;
		ctx->user_port = bpf_htons(to_port);
	}
	return 1;
}

SEC("cgroup/recvmsg4") int recvmsg4(struct bpf_sock_addr *ctx)
{
	count(4);
	if (mode == 3)
		ctx->user_port = bpf_htons(80);
	return 1;
}

SEC("cgroup/bind4") int bind4(struct bpf_sock_addr *ctx)
{
	count(5);
	return mode != 1;
}

SEC("cgroup/post_bind4") int post_bind4(struct bpf_sock *ctx)
{
	count(6);
	return mode != 2;
}

SEC("cgroup/connect6") int connect6(struct bpf_sock_addr *ctx)
{
	count(7);
	return mode != 1;
}

SEC("cgroup/sendmsg6") int sendmsg6(struct bpf_sock_addr *ctx)
{
	count(8);
	return mode != 1;
}

SEC("cgroup/bind6") int bind6(struct bpf_sock_addr *ctx)
{
	count(9);
	return mode != 1;
}

SEC("cgroup/sock_create") int sock_create(struct bpf_sock *ctx)
{
	count(10);
	if (mode == 1)
		return 0;
	ctx->mark = 0x77;
	return 1;
}

SEC("cgroup/sock_release") int sock_release(struct bpf_sock *ctx)
{
	count(11);
	return 1;
}

SEC("cgroup/connect_unix") int connect_unix(struct bpf_sock_addr *ctx)
{
	count(12);
	return mode != 1;
}

SEC("cgroup/sendmsg_unix") int sendmsg_unix(struct bpf_sock_addr *ctx)
{
	count(13);
	return mode != 1;
}

SEC("cgroup_skb/ingress") int ingress(struct __sk_buff *skb)
{
	count(14);
	return mode != 1;
}

SEC("cgroup_skb/egress") int egress(struct __sk_buff *skb)
{
	count(15);
	return mode != 2;
}

SEC("cgroup/getsockopt") int getsockopt(struct bpf_sockopt *ctx)
{
	count(16);
	return mode != 1;
}

SEC("cgroup/setsockopt") int setsockopt(struct bpf_sockopt *ctx)
{
	count(17);
	return mode != 2;
}

SEC("cgroup/dev") int device(struct bpf_cgroup_dev_ctx *ctx)
{
	count(18);
	return mode != 1;
}

SEC("cgroup/sysctl") int sysctl(struct bpf_sysctl *ctx)
{
	count(19);
	return mode != 1;
}

/* Order: each writes who came when. */
__u64 order = 0;

#define ORDERED(name, digit)                                       \
	SEC("cgroup/connect4") int name(struct bpf_sock_addr *ctx) \
	{                                                          \
		order = order * 10 + digit;                        \
		return 1;                                          \
	}
ORDERED(order_one, 1)
ORDERED(order_two, 2)
ORDERED(order_three, 3)

SEC("sockops") int socket_events(struct bpf_sock_ops *ops)
{
	switch (ops->op) {
	case BPF_SOCK_OPS_TCP_CONNECT_CB:
		bpf_sock_ops_cb_flags_set(ops, BPF_SOCK_OPS_STATE_CB_FLAG | BPF_SOCK_OPS_RTT_CB_FLAG |
						       BPF_SOCK_OPS_PARSE_ALL_HDR_OPT_CB_FLAG |
						       BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG);
		count(20);
		break;
	case BPF_SOCK_OPS_TCP_LISTEN_CB:
		bpf_sock_ops_cb_flags_set(ops, BPF_SOCK_OPS_PARSE_ALL_HDR_OPT_CB_FLAG |
						       BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG);
		break;
	case BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB:
		count(21);
		break;
	case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB:
		bpf_sock_ops_cb_flags_set(ops, BPF_SOCK_OPS_STATE_CB_FLAG | BPF_SOCK_OPS_PARSE_ALL_HDR_OPT_CB_FLAG |
						       BPF_SOCK_OPS_WRITE_HDR_OPT_CB_FLAG);
		count(22);
		break;
	case BPF_SOCK_OPS_STATE_CB:
		count(23);
		break;
	case BPF_SOCK_OPS_RTT_CB:
		count(24);
		break;
	case BPF_SOCK_OPS_HDR_OPT_LEN_CB:
		bpf_reserve_hdr_opt(ops, 4, 0);
		break;
	case BPF_SOCK_OPS_WRITE_HDR_OPT_CB: {
		__u8 option[4] = { 0xb9, 4, 0x12, 0x34 };

		if (bpf_store_hdr_opt(ops, option, sizeof(option), 0) == 0)
			count(25);
		break;
	}
	case BPF_SOCK_OPS_PARSE_HDR_OPT_CB: {
		__u8 option[4] = { 0xb9 };

		if (bpf_load_hdr_opt(ops, option, sizeof(option), 0) > 0 && option[2] == 0x12)
			count(26);
		break;
	}
	}
	return 1;
}
