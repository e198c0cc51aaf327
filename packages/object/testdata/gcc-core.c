// GCC: fields of the kernel's types, relocated.
#include "gcc.h"

struct task_struct {
	int pid;
	int tgid;
	struct task_struct *group_leader;
};

int tgid;
int leader;

SEC("raw_tp/sys_enter")
int look(void *context)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_struct *first = __builtin_preserve_access_index(task->group_leader);
	int of_task = __builtin_preserve_access_index(task->tgid);
	int of_first = __builtin_preserve_access_index(first->pid);

	// The relocation is of the instruction that comes next: nothing must come between.
	asm volatile("" : "+r"(of_task), "+r"(of_first));
	tgid = of_task;
	leader = of_first;
	return 0;
}
