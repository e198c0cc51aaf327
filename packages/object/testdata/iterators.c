// Iterators over tasks and map elements, and an open-coded loop.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct seq_file;
struct task_struct;

struct bpf_iter_meta {
	struct seq_file *seq;
	__u64 session_id;
	__u64 seq_num;
} __attribute__((preserve_access_index));

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
} __attribute__((preserve_access_index));

struct bpf_iter__bpf_map_elem {
	struct bpf_iter_meta *meta;
	void *map;
	void *key;
	void *value;
} __attribute__((preserve_access_index));

struct bpf_iter_num {
	__u64 __opaque[1];
} __attribute__((aligned(8)));

extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __ksym;

SEC("iter/task")
int tasks(struct bpf_iter__task *ctx)
{
	static const char line[] = "task %llu\n";
	struct seq_file *seq = ctx->meta->seq;
	__u64 number = ctx->meta->seq_num;

	if (ctx->task)
		bpf_seq_printf(seq, line, sizeof(line), &number, sizeof(number));
	return 0;
}

SEC("iter.s/bpf_map_elem")
int elements(struct bpf_iter__bpf_map_elem *ctx)
{
	return ctx->key == 0;
}

SEC("raw_tp/sys_enter")
int count(void *ctx)
{
	struct bpf_iter_num it;
	int sum = 0, *next;

	bpf_iter_num_new(&it, 0, 10);
	while ((next = bpf_iter_num_next(&it)))
		sum += *next;
	bpf_iter_num_destroy(&it);
	return sum;
}

char _license[] SEC("license") = "GPL";
