// What no other object of these tests has: hooks and helpers of the table, one program each.
#include "common.h"

volatile int wanted = 0;

SEC("cgroup/recvmsg6") int recvmsg6(struct bpf_sock_addr *ctx)
{
	count(0);
	ctx->user_port = bpf_htons(4242);
	return 1;
}

SEC("cgroup/getpeername6") int getpeername6(struct bpf_sock_addr *ctx)
{
	count(1);
	ctx->user_port = bpf_htons(4243);
	return 1;
}

SEC("cgroup/sock_create") int anywhere(struct bpf_sock *ctx)
{
	count(2);
	return 1;
}

struct place {
	__u64 address;
};

/* The text at an address of the process that runs this. */
SEC("syscall") int copies(struct place *place)
{
	__u64 text = 0;

	if (bpf_copy_from_user(&text, sizeof(text), (void *)place->address))
		return 1;
	put(3, text);
	return 0;
}

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 4);
} counters SEC(".maps");

SEC("raw_tp/sys_enter") int reads_counter(void *ctx)
{
	struct bpf_perf_event_value value = {};

	if ((int)(bpf_get_current_pid_tgid() >> 32) != wanted)
		return 0;
	if (bpf_perf_event_read_value(&counters, BPF_F_CURRENT_CPU, &value, sizeof(value)))
		return 0;
	put(4, value.counter);
	count(5);
	return 0;
}

SEC("tp_btf/oom_mark_victim") int absent(void *ctx)
{
	return 0;
}

SEC("fentry/pass") int of_program(void *ctx)
{
	return 0;
}

SEC("kprobe.session/tcp_v4_connect") int session(struct pt_regs *ctx)
{
	return 0;
}

SEC("lwt_seg6local") int segment(struct __sk_buff *skb)
{
	count(6);
	return skb->len > 40 ? 0 : 2;
}

SEC("tc") int seen(struct __sk_buff *skb)
{
	count(7);
	return -1;
}

SEC("xdp") int passes(struct xdp_md *ctx)
{
	count(8);
	return 2;
}
