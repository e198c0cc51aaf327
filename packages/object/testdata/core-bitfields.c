// CO-RE: bit fields.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

struct task_struct {
	unsigned int sched_reset_on_fork : 1;
	unsigned int sched_contributes_to_load : 1;
	unsigned int sched_migrated : 1;
	unsigned int : 0;
	unsigned int in_execve : 1;
} __attribute__((preserve_access_index));

struct skep_bits {
	int small : 5;
	unsigned int wide : 20;
	short plain;
} __attribute__((preserve_access_index));

struct skep_bits bits;
__u64 out[4];

SEC("raw_tp/sys_enter")
int bitfields(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	out[0] = BPF_CORE_READ_BITFIELD_PROBED(task, in_execve);
	if (!bpf_core_type_exists(struct skep_bits))
		return 0;
	out[1] = BPF_CORE_READ_BITFIELD(&bits, wide);
	out[2] = BPF_CORE_READ_BITFIELD(&bits, small);
	out[3] = BPF_CORE_READ_BITFIELD(&bits, plain);
	return 0;
}

char _license[] SEC("license") = "GPL";
