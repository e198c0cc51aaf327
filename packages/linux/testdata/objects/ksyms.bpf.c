// Variables and functions of the kernel: with a type, by address alone, and ones that it has not.
#include "features.h"

struct rq {
	int cpu;
} __core;

extern const struct rq runqueues __ksym;
extern const struct rq skep_is_no_variable __ksym __weak;
extern const void bpf_map_put __ksym;
extern const void skep_is_no_symbol __ksym __weak;
extern struct task_struct *bpf_task_from_pid(int pid) __ksym;
extern void bpf_task_release(struct task_struct *task) __ksym;
extern void skep_is_no_function(struct task_struct *task) __ksym __weak;
extern struct task_struct *bpf_task_from_pid___flavored(int pid) __ksym __weak;

int cpu = -1;
int own_cpu = -1;
int missing_variable = -1;
unsigned long long address;
int missing_symbol = -1;
int found_pid;
int has_missing_function = -1;
int has_flavored = -1;
const volatile int wanted_pid = 1;

// A kernel without CONFIG_KALLSYMS_ALL does not find its own variables.
SEC("?syscall")
int variables(void *ctx)
{
	struct rq *rq = bpf_per_cpu_ptr(&runqueues, 0);

	if (rq)
		cpu = rq->cpu;
	rq = bpf_this_cpu_ptr(&runqueues);
	own_cpu = rq->cpu == bpf_get_smp_processor_id();
	return 0;
}

SEC("syscall")
int look(void *ctx)
{
	struct task_struct *task;

	missing_variable = &skep_is_no_variable != 0;
	address = (unsigned long long)&bpf_map_put;
	missing_symbol = &skep_is_no_symbol != 0;
	has_missing_function = skep_is_no_function != 0;
	has_flavored = bpf_task_from_pid___flavored != 0;
	task = bpf_task_from_pid(wanted_pid);
	if (!task)
		return 1;
	found_pid = task->pid;
	if (skep_is_no_function)
		skep_is_no_function(task);
	bpf_task_release(task);
	return 0;
}

// Nothing guards the call.
SEC("?syscall")
int reaches_missing(void *ctx)
{
	struct task_struct *task = bpf_task_from_pid(wanted_pid);

	if (!task)
		return 1;
	skep_is_no_function(task);
	bpf_task_release(task);
	return 0;
}
