// Kernel symbols: typed (in BTF), untyped (an address of kallsyms), weak ones that are not there.
#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>

struct rq {
	int cpu;
} __attribute__((preserve_access_index));

extern const struct rq runqueues __ksym;
extern const void bpf_prog_put __ksym;
extern const int skep_is_no_variable __ksym __weak;
extern const void skep_is_no_symbol __ksym __weak;

SEC("raw_tp/sys_enter")
int symbols(void *ctx)
{
	struct rq *rq = bpf_per_cpu_ptr(&runqueues, 0);
	int cpu = rq ? rq->cpu : -1;

	if (&skep_is_no_variable)
		cpu += skep_is_no_variable;
	return cpu + (&skep_is_no_symbol != 0) + (int)(long)&bpf_prog_put;
}

char _license[] SEC("license") = "GPL";
