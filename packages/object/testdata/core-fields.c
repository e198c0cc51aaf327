// CO-RE: offsets, existence, size and sign of fields, through pointers, arrays and anonymous members.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct mm_struct {
	struct {
		unsigned long start_code;
	};
};

struct cred {
	struct {
		unsigned int val;
	} uid;
};

struct task_struct {
	int pid;
	int tgid;
	char comm[16];
	struct task_struct *real_parent;
	struct mm_struct *mm;
	const struct cred *real_cred;
	int skep_is_no_field;
};

struct sk_buff {
	unsigned int len;
	union {
		struct {
			struct sk_buff *next;
		};
	};
};

#pragma clang attribute pop

__u64 out[10];

SEC("raw_tp/sys_enter")
int fields(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	out[0] = BPF_CORE_READ(task, real_parent, tgid);
	out[1] = BPF_CORE_READ(task, mm, start_code);
	out[2] = bpf_core_field_exists(task->skep_is_no_field);
	out[3] = bpf_core_field_size(task->comm);
	out[4] = bpf_core_field_exists(struct sk_buff, next);
	out[5] = bpf_core_field_offset(struct task_struct, real_cred);
	out[6] = __builtin_preserve_field_info(task->pid, BPF_FIELD_SIGNED);
	bpf_core_read(&out[7], sizeof(task->comm[3]), &task->comm[3]);
	out[8] = BPF_CORE_READ(task, real_cred, uid.val);
	if (bpf_core_field_exists(task->skep_is_no_field))
		out[9] = BPF_CORE_READ(task, skep_is_no_field);
	return 0;
}

SEC("tp_btf/sys_enter")
int direct(unsigned long long *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();

	out[0] = task->pid + task->real_parent->tgid;
	return 0;
}

char _license[] SEC("license") = "GPL";
