// CO-RE: one struct as several kernels had it.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

struct task_struct {
	unsigned int __state;
} __attribute__((preserve_access_index));

struct task_struct___old {
	long state;
} __attribute__((preserve_access_index));

struct task_struct___future {
	struct {
		int deep;
	} skep_is_no_field;
} __attribute__((preserve_access_index));

__u64 out[2];

SEC("raw_tp/sys_enter")
int flavors(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct task_struct___old *old = (void *)task;
	struct task_struct___future *future = (void *)task;

	if (bpf_core_field_exists(task->__state))
		out[0] = BPF_CORE_READ(task, __state);
	else
		out[0] = BPF_CORE_READ(old, state);
	if (bpf_core_field_exists(future->skep_is_no_field.deep))
		out[1] = BPF_CORE_READ(future, skep_is_no_field.deep);
	return 0;
}

char _license[] SEC("license") = "GPL";
