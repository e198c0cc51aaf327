// Fields of the kernel's types wherever they lie in the running kernel, and what it has of them.
#include "features.h"

enum pid_type___own {
	PIDTYPE_PID___own,
	PIDTYPE_TGID___own,
	PIDTYPE_NOT_THERE___own = 77,
};

struct list_head {
	struct list_head *next;
} __core;

// Another shape of the same type: flavours meet the kernel's task_struct.
struct task_struct___older {
	int state;
	unsigned int in_execve : 1;
	struct list_head tasks;
} __core;

struct skep_is_no_struct {
	int x;
} __core;

int tgid;
int leader;
char comm[16];
int has_state;
int has_comm;
int comm_size;
int struct_size;
int type_exists;
int type_missing;
int value_exists;
int value_missing;
int value;
int executing = -1;
int matches;

SEC("raw_tp/sys_enter")
int read_types(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct task_struct___older *older = (void *)task;

	tgid = BPF_CORE_READ(task, tgid);
	leader = BPF_CORE_READ(task, group_leader, pid);
	BPF_CORE_READ_STR_INTO(&comm, task, comm);
	has_state = bpf_core_field_exists(older->state);
	has_comm = bpf_core_field_exists(task->comm);
	comm_size = bpf_core_field_size(task->comm);
	struct_size = bpf_core_type_size(struct list_head);
	type_exists = bpf_core_type_exists(struct task_struct);
	type_missing = bpf_core_type_exists(struct skep_is_no_struct);
	value_exists = bpf_core_enum_value_exists(enum pid_type___own, PIDTYPE_TGID___own);
	value_missing = bpf_core_enum_value_exists(enum pid_type___own, PIDTYPE_NOT_THERE___own);
	value = bpf_core_enum_value(enum pid_type___own, PIDTYPE_TGID___own);
	executing = BPF_CORE_READ_BITFIELD_PROBED(older, in_execve);
	// Never reached: what the kernel has not is poisoned, and dead.
	if (bpf_core_field_exists(older->state))
		executing = BPF_CORE_READ(older, state);
	return 0;
}
