// Arguments of static probes, read as libbpf's usdt.bpf.h does.
#include <linux/ptrace.h>
#include "common.h"
#include <stdbool.h>
#include <bpf/usdt.bpf.h>

SEC("usdt") int BPF_USDT(stage, int number, long far, int constant)
{
	count(0);
	put(1, number);
	put(2, far);
	put(3, constant);
	put(4, bpf_usdt_cookie(ctx));
	put(5, bpf_usdt_arg_cnt(ctx));
	return 0;
}
