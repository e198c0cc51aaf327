// CO-RE: existence, size, ids and matching of whole types.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

struct task_struct {
	int pid;
};

struct list_head {
	struct list_head *next, *prev;
};

struct skep_is_no_struct {
	int x;
};

union thread_union {
	char x;
};

enum pid_type {
	PIDTYPE_PID,
};

typedef struct {
	int counter;
} atomic_t;

typedef unsigned int skep_number;

typedef int (*skep_function)(struct task_struct *, int);

struct path {
	void *mnt;
	void *dentry;
};


__u64 out[12];

SEC("raw_tp/sys_enter")
int types(void *ctx)
{
	out[0] = bpf_core_type_exists(struct task_struct);
	out[1] = bpf_core_type_exists(struct skep_is_no_struct);
	out[2] = bpf_core_type_size(struct list_head);
	out[3] = bpf_core_type_id_local(struct task_struct);
	out[4] = bpf_core_type_id_kernel(struct list_head);
	out[5] = bpf_core_type_exists(atomic_t);
	out[6] = bpf_core_type_exists(enum pid_type);
	out[7] = bpf_core_type_exists(union thread_union);
	out[8] = bpf_core_type_exists(skep_function);
	out[9] = bpf_core_type_matches(struct list_head);
	out[10] = bpf_core_type_matches(struct path);
	out[11] = bpf_core_type_size(skep_number);
	return 0;
}

char _license[] SEC("license") = "GPL";
