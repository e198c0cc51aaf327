// Programs that trace, replace or guard functions: where the kernel takes them.
#include "features.h"

SEC("?fentry/bpf_prog_put")
int BPF_PROG(enters)
{
	return 0;
}

SEC("?fexit.s/bpf_prog_put")
int BPF_PROG(leaves)
{
	return 0;
}

SEC("?fmod_ret/security_file_open")
int BPF_PROG(changes)
{
	return 0;
}

SEC("?lsm/file_open")
int BPF_PROG(guards)
{
	return 0;
}

SEC("?freplace/replaced")
int replaces(struct __sk_buff *skb)
{
	return 2;
}

SEC("tc")
int replaced(struct __sk_buff *skb)
{
	return 1;
}

SEC("?kprobe.multi/bpf_prog_*")
int probes(void *ctx)
{
	return 0;
}
