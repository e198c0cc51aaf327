// Small programs for what the verifier's rules are about and few real programs have: mutated by the report, they come to break them.
#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define __core __attribute__((preserve_access_index))
#define __tag(text) __attribute__((btf_decl_tag(text)))
#define private(name) SEC(".bss." #name) __hidden __attribute__((aligned(8)))

struct cgroup;
struct cpumask {
	unsigned long bits[1];
} __core;
struct task_struct {
	int pid;
	int tgid;
	char comm[16];
	struct task_struct *group_leader;
	struct task_struct *last_wakee;
	struct task_struct *real_parent;
	const struct cpumask *cpus_ptr;
} __core;
struct bpf_cpumask {
	struct cpumask cpumask;
} __core;
struct bpf_rb_root {
	__u64 opaque[2];
} __attribute__((aligned(8)));
struct bpf_rb_node {
	__u64 opaque[4];
} __attribute__((aligned(8)));
struct bpf_list_head {
	__u64 opaque[2];
} __attribute__((aligned(8)));
struct bpf_list_node {
	__u64 opaque[3];
} __attribute__((aligned(8)));
struct bpf_res_spin_lock {
	__u32 val;
} __attribute__((aligned(4)));
struct bpf_iter_num {
	__u64 opaque[1];
} __attribute__((aligned(8)));

struct bpf_wq {
	__u64 opaque[2];
} __attribute__((aligned(8)));
extern int bpf_wq_init(struct bpf_wq *wq, void *map, unsigned int flags) __ksym;
extern int bpf_wq_start(struct bpf_wq *wq, unsigned int flags) __ksym;
extern int bpf_wq_set_callback_impl(struct bpf_wq *wq, int(callback)(void *map, int *key, void *value), unsigned int flags,
				    void *aux) __ksym;
extern void *bpf_percpu_obj_new_impl(__u64 local_type_id, void *meta) __ksym;
extern void bpf_percpu_obj_drop_impl(void *object, void *meta) __ksym;
extern void bpf_rcu_read_lock(void) __ksym;
extern void bpf_rcu_read_unlock(void) __ksym;
extern void bpf_preempt_disable(void) __ksym;
extern void bpf_preempt_enable(void) __ksym;
extern void bpf_local_irq_save(unsigned long *flags) __ksym;
extern void bpf_local_irq_restore(unsigned long *flags) __ksym;
extern int bpf_res_spin_lock(struct bpf_res_spin_lock *lock) __ksym;
extern void bpf_res_spin_unlock(struct bpf_res_spin_lock *lock) __ksym;
extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __ksym;
extern struct task_struct *bpf_task_acquire(struct task_struct *p) __ksym;
extern struct task_struct *bpf_task_from_pid(int pid) __ksym;
extern void bpf_task_release(struct task_struct *p) __ksym;
extern struct bpf_cpumask *bpf_cpumask_create(void) __ksym;
extern void bpf_cpumask_release(struct bpf_cpumask *mask) __ksym;
extern void bpf_cpumask_set_cpu(unsigned int cpu, struct bpf_cpumask *mask) __ksym;
extern bool bpf_cpumask_test_cpu(unsigned int cpu, const struct cpumask *mask) __ksym;
extern void *bpf_obj_new_impl(__u64 local_type_id, void *meta) __ksym;
extern void bpf_obj_drop_impl(void *object, void *meta) __ksym;
extern int bpf_rbtree_add_impl(struct bpf_rb_root *root, struct bpf_rb_node *node,
			       bool(less)(struct bpf_rb_node *a, const struct bpf_rb_node *b), void *meta, __u64 off) __ksym;
extern struct bpf_rb_node *bpf_rbtree_first(struct bpf_rb_root *root) __ksym;
extern struct bpf_rb_node *bpf_rbtree_remove(struct bpf_rb_root *root, struct bpf_rb_node *node) __ksym;
extern int bpf_dynptr_from_skb(struct __sk_buff *skb, __u64 flags, struct bpf_dynptr *ptr) __ksym;
extern void *bpf_dynptr_slice(const struct bpf_dynptr *ptr, __u32 offset, void *buffer, __u32 size) __ksym;

struct guarded {
	struct bpf_spin_lock lock;
	int a;
	__u64 b;
};
struct fallible {
	struct bpf_res_spin_lock lock;
	int a;
	__u64 b;
};
struct timed {
	struct bpf_timer timer;
	__u64 count;
};
struct working {
	__u64 count;
	struct bpf_wq work;
};
struct calls {
	__u64 count;
};
struct called {
	struct calls __attribute__((btf_type_tag("percpu_kptr"))) *calls;
};
struct holder {
	struct task_struct __attribute__((btf_type_tag("kptr"))) *task;
	__u64 seen;
};

#define MAP(name, kind, entries, keys, values) \
	struct { \
		__uint(type, kind); \
		__uint(max_entries, entries); \
		__type(key, keys); \
		__type(value, values); \
	} name SEC(".maps")
MAP(guarded, BPF_MAP_TYPE_HASH, 4, int, struct guarded);
MAP(fallible, BPF_MAP_TYPE_ARRAY, 4, int, struct fallible);
MAP(timed, BPF_MAP_TYPE_ARRAY, 4, int, struct timed);
MAP(working, BPF_MAP_TYPE_ARRAY, 4, int, struct working);
MAP(called, BPF_MAP_TYPE_ARRAY, 4, int, struct called);
MAP(holder, BPF_MAP_TYPE_ARRAY, 4, int, struct holder);
MAP(plain, BPF_MAP_TYPE_ARRAY, 4, int, __u64);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 4);
	__uint(key_size, 4);
	__uint(value_size, 4);
} next SEC(".maps");

struct entry {
	__u64 key;
	struct bpf_rb_node node;
};
private(T) struct bpf_spin_lock tree_lock;
private(T) struct bpf_rb_root tree __tag("contains:entry:node");

int sum;

SEC("tc")
int locked(struct __sk_buff *skb)
{
	int key = 0, other = 1;
	struct guarded *value = bpf_map_lookup_elem(&guarded, &key), *second;

	if (!value)
		return 0;
	second = bpf_map_lookup_elem(&guarded, &other);
	if (!second)
		return 1;
	bpf_spin_lock(&value->lock);
	value->a++;
	value->b += second->b;
	bpf_spin_unlock(&value->lock);
	second->a = 7;
	return bpf_get_prandom_u32() & 1;
}

SEC("tc")
int locked_twice(struct __sk_buff *skb)
{
	int key = 0;
	struct guarded *value = bpf_map_lookup_elem(&guarded, &key);

	if (!value)
		return 0;
	bpf_spin_lock(&value->lock);
	value->a = skb->len;
	bpf_spin_unlock(&value->lock);
	bpf_get_prandom_u32();
	bpf_spin_lock(&value->lock);
	value->b = skb->mark;
	bpf_spin_unlock(&value->lock);
	return 0;
}

SEC("tc")
int locked_in_data(struct __sk_buff *skb)
{
	struct bpf_rb_node *node;
	struct entry *entry = bpf_obj_new_impl(bpf_core_type_id_local(struct entry), 0);

	if (!entry)
		return 0;
	entry->key = skb->len;
	bpf_obj_drop_impl(entry, 0);
	bpf_spin_lock(&tree_lock);
	node = bpf_rbtree_first(&tree);
	if (!node) {
		bpf_spin_unlock(&tree_lock);
		return 1;
	}
	node = bpf_rbtree_remove(&tree, node);
	bpf_spin_unlock(&tree_lock);
	if (!node)
		return 2;
	entry = (void *)node - __builtin_offsetof(struct entry, node);
	sum += entry->key;
	bpf_obj_drop_impl(entry, 0);
	return 3;
}

static bool less(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	struct entry *one = (void *)a - __builtin_offsetof(struct entry, node);
	struct entry *two = (void *)b - __builtin_offsetof(struct entry, node);

	return one->key < two->key;
}

SEC("tc")
int ordered(struct __sk_buff *skb)
{
	struct entry *entry = bpf_obj_new_impl(bpf_core_type_id_local(struct entry), 0);

	if (!entry)
		return 0;
	entry->key = skb->hash;
	bpf_spin_lock(&tree_lock);
	bpf_rbtree_add_impl(&tree, &entry->node, less, 0, 0);
	bpf_spin_unlock(&tree_lock);
	return 0;
}

SEC("tc")
int may_fail(struct __sk_buff *skb)
{
	int key = 0;
	struct fallible *value = bpf_map_lookup_elem(&fallible, &key);

	if (!value)
		return 0;
	if (bpf_res_spin_lock(&value->lock))
		return 1;
	value->a++;
	value->b = skb->len;
	bpf_res_spin_unlock(&value->lock);
	return 2;
}

static int fired(void *map, int *key, struct timed *value)
{
	value->count++;
	return 0;
}

SEC("tc")
int later(struct __sk_buff *skb)
{
	int key = 0;
	struct timed *value = bpf_map_lookup_elem(&timed, &key);

	if (!value)
		return 0;
	value->count = skb->len;
	bpf_timer_init(&value->timer, &timed, 1);
	bpf_timer_set_callback(&value->timer, fired);
	return bpf_timer_start(&value->timer, 1000, 0) != 0;
}

static int works(void *map, int *key, void *value)
{
	((struct working *)value)->count++;
	return 0;
}

SEC("tc")
int left_to_a_thread(struct __sk_buff *skb)
{
	int key = 0;
	struct working *value = bpf_map_lookup_elem(&working, &key);

	if (!value)
		return 0;
	if (bpf_wq_init(&value->work, &working, 0))
		return 1;
	if (bpf_wq_set_callback_impl(&value->work, works, 0, 0))
		return 2;
	return bpf_wq_start(&value->work, 0) != 0;
}

SEC("tc")
int called_per_cpu(struct __sk_buff *skb)
{
	int key = 0;
	struct called *value = bpf_map_lookup_elem(&called, &key);
	struct calls *calls;

	if (!value)
		return 0;
	calls = bpf_percpu_obj_new_impl(bpf_core_type_id_local(struct calls), 0);
	if (!calls)
		return 1;
	calls = bpf_kptr_xchg(&value->calls, calls);
	if (calls)
		bpf_percpu_obj_drop_impl(calls, 0);
	bpf_rcu_read_lock();
	calls = value->calls;
	if (calls) {
		calls = bpf_this_cpu_ptr(calls);
		calls->count++;
	}
	bpf_rcu_read_unlock();
	return 0;
}

SEC("tc")
int kept(struct __sk_buff *skb)
{
	int key = 0;
	struct holder *value = bpf_map_lookup_elem(&holder, &key);
	struct task_struct *task, *old;

	if (!value)
		return 0;
	task = bpf_task_from_pid(1);
	if (!task)
		return 1;
	value->seen++;
	old = bpf_kptr_xchg(&value->task, task);
	if (old)
		bpf_task_release(old);
	return 2;
}

SEC("tc")
int read_section(struct __sk_buff *skb)
{
	int key = 0;
	struct holder *value;
	struct task_struct *task;

	bpf_rcu_read_lock();
	value = bpf_map_lookup_elem(&holder, &key);
	if (value) {
		task = value->task;
		if (task)
			sum = task->pid;
	}
	bpf_rcu_read_unlock();
	return 0;
}

SEC("tc")
int sections(struct __sk_buff *skb)
{
	unsigned long flags;
	int key = 0;
	__u64 *value;

	bpf_preempt_disable();
	value = bpf_map_lookup_elem(&plain, &key);
	if (value)
		*value += 1;
	bpf_preempt_enable();
	bpf_local_irq_save(&flags);
	if (value)
		*value += skb->len;
	bpf_local_irq_restore(&flags);
	bpf_rcu_read_lock();
	bpf_get_prandom_u32();
	bpf_rcu_read_unlock();
	return 0;
}

SEC("tc")
int counted(struct __sk_buff *skb)
{
	struct bpf_iter_num it, inner;
	int *one, *two, found = 0;

	bpf_iter_num_new(&it, 0, 10);
	while ((one = bpf_iter_num_next(&it))) {
		bpf_iter_num_new(&inner, 0, 3);
		while ((two = bpf_iter_num_next(&inner)))
			found += *one * *two;
		bpf_iter_num_destroy(&inner);
	}
	bpf_iter_num_destroy(&it);
	return found & 1;
}

SEC("tc")
int sliced(struct __sk_buff *skb)
{
	struct bpf_dynptr ptr;
	char buffer[16] = {};
	__u32 *word;

	if (bpf_dynptr_from_skb(skb, 0, &ptr))
		return 0;
	word = bpf_dynptr_slice(&ptr, 0, buffer, sizeof(buffer));
	if (!word)
		return 1;
	return *word & 3;
}

__noinline static int jump(struct __sk_buff *skb)
{
	int missed;

	bpf_tail_call(skb, &next, 1);
	asm volatile("%0 = 1" : "=r"(missed));
	return missed;
}

__noinline static long jump_wide(struct __sk_buff *skb)
{
	long missed;

	bpf_tail_call(skb, &next, 2);
	asm volatile("%0 = 1" : "=r"(missed));
	return missed;
}

SEC("tc")
int chained(struct __sk_buff *skb)
{
	int key = 0;
	__u64 *value = bpf_map_lookup_elem(&plain, &key);

	if (value)
		*value = 1;
	if (jump(skb) + jump_wide(skb))
		return 1;
	bpf_tail_call(skb, &next, 0);
	return 0;
}

__noinline int with_number(int number)
{
	return number * 3;
}

__noinline int with_memory(struct guarded *memory, int number)
{
	return memory ? memory->a + number : number;
}

__noinline int with_context(struct __sk_buff *skb, __u64 *out)
{
	if (out)
		*out = skb->len;
	return 0;
}

SEC("tc")
int alone(struct __sk_buff *skb)
{
	struct guarded memory = { .a = skb->len };
	__u64 out = 0;

	return with_number(skb->mark) + with_memory(&memory, 4) + with_context(skb, &out) + (int)out;
}

static long each(__u32 index, __u64 *total)
{
	*total += index;
	return *total > 100;
}

SEC("tc")
int called_back(struct __sk_buff *skb)
{
	__u64 total = 0;

	bpf_loop(10, each, &total, 0);
	return total & 1;
}

SEC("tp_btf/task_newtask")
int BPF_PROG(new_task, struct task_struct *task, __u64 clone_flags)
{
	struct task_struct *acquired, *leader;
	struct bpf_cpumask *mask;

	acquired = bpf_task_acquire(task);
	if (!acquired)
		return 0;
	sum = acquired->pid + task->group_leader->tgid;
	leader = acquired->last_wakee;
	if (leader)
		sum += leader->pid;
	mask = bpf_cpumask_create();
	if (mask) {
		bpf_cpumask_set_cpu(1, mask);
		sum += bpf_cpumask_test_cpu(0, task->cpus_ptr);
		bpf_cpumask_release(mask);
	}
	bpf_task_release(acquired);
	return 0;
}

SEC("tp_btf/task_newtask")
int BPF_PROG(parent_of_task, struct task_struct *task, __u64 clone_flags)
{
	struct task_struct *parent, *leader;

	bpf_rcu_read_lock();
	parent = task->real_parent;
	leader = task->group_leader;
	sum = parent->pid - leader->tgid + task->comm[3];
	bpf_rcu_read_unlock();
	parent = bpf_task_acquire(task->group_leader);
	if (!parent)
		return 0;
	sum += parent->comm[0];
	bpf_task_release(parent);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
