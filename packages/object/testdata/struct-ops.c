// A TCP congestion control: struct_ops with and without a link.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct sock;

struct tcp_congestion_ops {
	unsigned int (*ssthresh)(struct sock *sk);
	void (*cong_avoid)(struct sock *sk, unsigned int ack, unsigned int acked);
	unsigned int (*undo_cwnd)(struct sock *sk);
	char name[16];
};

struct tcp_congestion_ops___skep {
	unsigned int flags;
	unsigned int (*ssthresh)(struct sock *sk);
	void (*cong_avoid)(struct sock *sk, unsigned int ack, unsigned int acked);
	unsigned int (*undo_cwnd)(struct sock *sk);
	char name[16];
};

SEC("struct_ops/ssthresh")
unsigned int ssthresh(unsigned long long *ctx)
{
	return 2;
}

SEC("struct_ops")
void cong_avoid(unsigned long long *ctx)
{
}

SEC("struct_ops/undo_cwnd")
unsigned int undo_cwnd(unsigned long long *ctx)
{
	return 10;
}

SEC(".struct_ops.link")
struct tcp_congestion_ops linked = {
	.ssthresh = (void *)ssthresh,
	.cong_avoid = (void *)cong_avoid,
	.undo_cwnd = (void *)undo_cwnd,
	.name = "skep_linked",
};

SEC(".struct_ops")
struct tcp_congestion_ops___skep plain = {
	.flags = 1,
	.ssthresh = (void *)ssthresh,
	.undo_cwnd = (void *)undo_cwnd,
	.name = "skep_plain",
};

char _license[] SEC("license") = "GPL";
