// Kernel functions: strong, weak and missing, and whether one exists.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct task_struct {
	int pid;
};

extern void bpf_rcu_read_lock(void) __ksym;
extern void bpf_rcu_read_unlock(void) __ksym __weak;
extern struct task_struct *bpf_task_from_pid(int pid) __ksym;
extern void bpf_task_release(struct task_struct *task) __ksym;
extern int skep_is_no_function(int x) __ksym __weak;

SEC("syscall")
int locked(void *ctx)
{
	struct task_struct *task;

	if (&skep_is_no_function)
		return skep_is_no_function(1);
	bpf_rcu_read_lock();
	bpf_rcu_read_unlock();
	task = bpf_task_from_pid(1);
	if (task)
		bpf_task_release(task);
	return 0;
}

char _license[] SEC("license") = "GPL";
