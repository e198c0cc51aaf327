// Programs that the verifier refuses, for rules that mutants of accepted ones do not come to break.
#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define __core __attribute__((preserve_access_index))

struct task_struct {
	int pid;
	struct task_struct *last_wakee;
} __core;
extern struct task_struct *bpf_task_acquire(struct task_struct *p) __ksym;
extern void bpf_task_release(struct task_struct *p) __ksym;
extern struct task_struct *bpf_task_from_pid(int pid) __ksym __weak;
extern void *bpf_arena_alloc_pages(void *map, void *address, __u32 pages, int node, __u64 flags) __ksym;

struct bpf_iter_num {
	__u64 opaque[1];
} __attribute__((aligned(8)));
extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __ksym;

struct unknown;
struct timed {
	struct bpf_timer timer;
	__u64 count;
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, int);
	__type(value, struct timed);
} timed SEC(".maps");

struct far {
	struct bpf_timer timer;
	__u64 between[4];
	__u64 count;
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, int);
	__type(value, struct far);
} far SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, int);
	__type(value, __u64);
} plain SEC(".maps");

struct {
	__uint(type, 33); // BPF_MAP_TYPE_ARENA
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 4);
} arena SEC(".maps");

__noinline int with_anything(void *anything)
{
	return anything != 0;
}

__noinline int with_unknown(struct unknown *unknown)
{
	return unknown != 0;
}

struct pair {
	int a, b;
};
__noinline int with_pair(struct pair pair)
{
	return pair.a + pair.b;
}

SEC("tc")
int takes_anything(struct __sk_buff *skb)
{
	int one = skb->len;

	return with_anything(&one);
}

SEC("tc")
int takes_unknown(struct __sk_buff *skb)
{
	int one = skb->len;

	return with_unknown((void *)&one);
}

SEC("tc")
int takes_pair(struct __sk_buff *skb)
{
	struct pair pair = { skb->len, skb->mark };

	return with_pair(pair);
}

SEC("tp_btf/task_newtask")
int BPF_PROG(not_trusted, struct task_struct *task, __u64 clone_flags)
{
	struct task_struct *kept = bpf_task_acquire(task->last_wakee);

	if (kept)
		bpf_task_release(kept);
	return 0;
}

SEC("tp_btf/task_newtask")
int BPF_PROG(written, struct task_struct *task, __u64 clone_flags)
{
	task->pid = 1;
	return 0;
}

SEC("tp_btf/task_newtask")
int BPF_PROG(behind, struct task_struct *task, __u64 clone_flags)
{
	return *((volatile int *)task + 0x10000) & 0;
}

SEC("tc")
int timer_read(struct __sk_buff *skb)
{
	int key = 0;
	struct timed *value = bpf_map_lookup_elem(&timed, &key);

	return value ? *(volatile int *)&value->timer : 0;
}

SEC("syscall")
int pages_not_cast(void *ctx)
{
	__u64 *page = bpf_arena_alloc_pages(&arena, 0, 1, -1, 0);

	if (page)
		*page = 1;
	return 0;
}

SEC("syscall")
int context_as_memory(void *ctx)
{
	return bpf_copy_from_user(ctx, 8, (void *)1);
}

SEC("tc")
int function_is_there(struct __sk_buff *skb)
{
	// The kernel has it: the path on which it has not is not walked.
	if (bpf_task_from_pid)
		return *(volatile int *)(long)skb->len;
	return 0;
}

SEC("tp_btf/task_newtask")
int BPF_PROG(object_as_value, struct task_struct *task, __u64 clone_flags)
{
	int key = 0;

	return bpf_map_update_elem(&plain, &key, task, 0) & 0;
}

SEC("tp_btf/task_newtask")
int BPF_PROG(object_as_memory, struct task_struct *task, __u64 clone_flags)
{
	return bpf_trace_printk((const char *)task->last_wakee, 8) & 0;
}

// Set for a value that it fits and for one that it does not.
static int writes_far(void *map, int *key, struct far *value)
{
	value->count = 1;
	return 0;
}

SEC("tc")
int one_callback_for_two(struct __sk_buff *skb)
{
	int key = 0;
	struct far *fits = bpf_map_lookup_elem(&far, &key);
	struct timed *value = bpf_map_lookup_elem(&timed, &key);

	if (!fits || !value)
		return 0;
	bpf_timer_init(&fits->timer, &far, 1);
	bpf_timer_set_callback(&fits->timer, writes_far);
	bpf_timer_init(&value->timer, &timed, 1);
	bpf_timer_set_callback(&value->timer, writes_far);
	return 0;
}

SEC("tc")
int next_of_nothing(struct __sk_buff *skb)
{
	struct bpf_iter_num it;

	return bpf_iter_num_next(&it) != 0;
}

SEC("tc")
int destroyed_twice(struct __sk_buff *skb)
{
	struct bpf_iter_num it;

	bpf_iter_num_new(&it, 0, 4);
	bpf_iter_num_destroy(&it);
	bpf_iter_num_destroy(&it);
	return 0;
}

SEC("tc")
int made_twice(struct __sk_buff *skb)
{
	struct bpf_iter_num it;

	bpf_iter_num_new(&it, 0, 4);
	bpf_iter_num_new(&it, 0, 4);
	bpf_iter_num_destroy(&it);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
