// Tracing: tracepoints of every kind, functions of the kernel and of processes, samples.
#include <linux/ptrace.h>
#include "common.h"

struct task_struct {
	int pid;
	int tgid;
	char comm[16];
} __attribute__((preserve_access_index));

__u32 wanted = 0;

static __always_inline int mine(void)
{
	return bpf_get_current_pid_tgid() >> 32 == wanted;
}

SEC("tp_btf/sched_process_exec") int BPF_PROG(executed, struct task_struct *task)
{
	count(0);
	put(1, task->tgid);
	return 0;
}

#define TRACED(name)                             \
	SEC("tp_btf/" #name) int tp_##name(void *ctx) \
	{                                        \
		count(2);                        \
		return 0;                        \
	}
TRACED(sched_process_exit)
TRACED(sched_process_fork)
TRACED(sched_switch)
TRACED(sys_enter)
TRACED(sys_exit)
TRACED(inet_sock_set_state)
TRACED(tcp_retransmit_skb)
TRACED(tcp_send_reset)
TRACED(tcp_receive_reset)
TRACED(tcp_destroy_sock)
TRACED(tcp_probe)
TRACED(tcp_bad_csum)
TRACED(kfree_skb)
TRACED(consume_skb)
TRACED(net_dev_queue)
TRACED(netif_receive_skb)
TRACED(cap_capable)
TRACED(signal_generate)
TRACED(signal_deliver)
TRACED(task_newtask)
TRACED(task_rename)
TRACED(cgroup_attach_task)
TRACED(cgroup_mkdir)
TRACED(cgroup_rmdir)
TRACED(neigh_update)
TRACED(fib_table_lookup)
TRACED(qdisc_dequeue)
TRACED(xdp_exception)
TRACED(page_fault_user)
TRACED(inet_sk_error_report)
TRACED(sock_send_length)
TRACED(udp_fail_queue_rcv_skb)
TRACED(skb_copy_datagram_iovec)

SEC("raw_tp/sys_enter") int raw(struct bpf_raw_tracepoint_args *ctx)
{
	if (mine())
		count(3);
	return 0;
}

SEC("tracepoint/syscalls/sys_enter_kill") int entered(void *ctx)
{
	if (mine()) {
		count(4);
		put(5, bpf_get_attach_cookie(ctx));
	}
	return 0;
}

SEC("fentry/tcp_v4_connect") int BPF_PROG(function_entry)
{
	count(6);
	return 0;
}

SEC("fexit/tcp_v4_connect") int BPF_PROG(function_exit)
{
	count(7);
	return 0;
}

SEC("fmod_ret/bpf_modify_return_test") int BPF_PROG(function_result)
{
	return 0;
}

SEC("lsm/file_open") int BPF_PROG(file_open)
{
	return 0;
}

SEC("lsm_cgroup/socket_create") int BPF_PROG(socket_create)
{
	return 1;
}

SEC("freplace/pass") int replace_pass(struct xdp_md *ctx)
{
	return XDP_DROP;
}

SEC("kprobe/tcp_v4_connect") int probe(struct pt_regs *ctx)
{
	count(8);
	return 0;
}

SEC("kprobe.multi/tcp_v4_*") int probes(struct pt_regs *ctx)
{
	count(9);
	return 0;
}

SEC("uprobe") int user_entry(struct pt_regs *ctx)
{
	char name[16] = {};

	if (!mine())
		return 0;
	count(10);
	bpf_probe_read_user_str(name, sizeof(name), (void *)PT_REGS_PARM1(ctx));
	put(11, *(__u64 *)name);
	put(12, bpf_get_attach_cookie(ctx));
	return 0;
}

SEC("uretprobe") int user_return(struct pt_regs *ctx)
{
	if (!mine())
		return 0;
	count(13);
	put(14, PT_REGS_RC(ctx));
	return 0;
}

SEC("uprobe.multi") int user_many(struct pt_regs *ctx)
{
	if (!mine())
		return 0;
	count(15);
	put(16, bpf_get_attach_cookie(ctx));
	return 0;
}

extern _Bool bpf_session_is_return(void) __ksym __weak;

SEC("uprobe.session") int user_session(struct pt_regs *ctx)
{
	if (!mine())
		return 0;
	count(bpf_session_is_return() ? 18 : 17);
	return 0;
}

SEC("uprobe.s") int user_sleepable(struct pt_regs *ctx)
{
	char name[16] = {};

	if (!mine())
		return 0;
	if (bpf_copy_from_user(name, sizeof(name), (void *)PT_REGS_PARM1(ctx)) == 0)
		put(19, *(__u64 *)name);
	return 0;
}

struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, 1024);
	__uint(key_size, 4);
	__uint(value_size, 127 * 8);
} stacks SEC(".maps");

SEC("perf_event") int sample(struct bpf_perf_event_data *ctx)
{
	count(20);
	if (bpf_get_stackid(ctx, &stacks, BPF_F_USER_STACK) >= 0)
		count(21);
	return 0;
}

/* What usdt.bpf.h does, without its maps: the cookie is the probe's own. */
SEC("usdt") int probe_site(struct pt_regs *ctx)
{
	if (!mine())
		return 0;
	count(22);
	put(23, bpf_get_attach_cookie(ctx));
	return 0;
}

/* SSL_write(ssl, buffer, length): what is about to be encrypted. */
SEC("uprobe.multi") int plain_text(struct pt_regs *ctx)
{
	__u64 text = 0;

	if (!mine())
		return 0;
	count(24);
	bpf_probe_read_user(&text, sizeof(text), (void *)PT_REGS_PARM2(ctx));
	put(25, text);
	return 0;
}
