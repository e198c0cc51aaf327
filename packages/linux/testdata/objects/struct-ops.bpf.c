// Congestion controls: with a link and without, one that is made only when it is asked for, and a struct with a member that no kernel has.
#include "features.h"

struct sock {
} __core;

struct tcp_congestion_ops {
	unsigned int (*ssthresh)(struct sock *sk);
	void (*cong_avoid)(struct sock *sk, unsigned int ack, unsigned int acked);
	unsigned int (*undo_cwnd)(struct sock *sk);
	char name[16];
};

struct tcp_congestion_ops___extended {
	unsigned int (*skep_has_no_member)(struct sock *sk);
	unsigned int (*undo_cwnd)(struct sock *sk);
	unsigned int (*ssthresh)(struct sock *sk);
	char name[16];
	void (*cong_avoid)(struct sock *sk, unsigned int ack, unsigned int acked);
};

int calls;

SEC("struct_ops/ssthresh")
unsigned int BPF_PROG(ssthresh, struct sock *sk)
{
	return 2;
}

SEC("struct_ops/undo_cwnd")
unsigned int BPF_PROG(undo_cwnd, struct sock *sk)
{
	return 10;
}

SEC("struct_ops/cong_avoid")
void BPF_PROG(cong_avoid, struct sock *sk, unsigned int ack, unsigned int acked)
{
	calls++;
}

SEC("struct_ops/lazy")
unsigned int BPF_PROG(lazy_ssthresh, struct sock *sk)
{
	return 3;
}

SEC("struct_ops/nowhere")
unsigned int BPF_PROG(nowhere, struct sock *sk)
{
	return 4;
}

SEC(".struct_ops")
struct tcp_congestion_ops plain = {
	.ssthresh = (void *)ssthresh,
	.cong_avoid = (void *)cong_avoid,
	.undo_cwnd = (void *)undo_cwnd,
	.name = "skep_plain",
};

SEC(".struct_ops.link")
struct tcp_congestion_ops___extended linked = {
	.skep_has_no_member = (void *)nowhere,
	.ssthresh = (void *)ssthresh,
	.cong_avoid = (void *)cong_avoid,
	.undo_cwnd = (void *)undo_cwnd,
	.name = "skep_linked",
};

SEC("?.struct_ops.link")
struct tcp_congestion_ops lazy = {
	.ssthresh = (void *)lazy_ssthresh,
	.cong_avoid = (void *)cong_avoid,
	.undo_cwnd = (void *)undo_cwnd,
	.name = "skep_lazy",
};
