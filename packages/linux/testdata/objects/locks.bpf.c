// Spin locks in a map's value and in data of the object; lists and trees of objects that the program makes.
#include "features.h"

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

struct item {
	int value;
	struct bpf_list_node node;
};

extern void *bpf_obj_new_impl(__u64 local_type_id, void *meta) __ksym;
extern void bpf_obj_drop_impl(void *object, void *meta) __ksym;
extern int bpf_list_push_front_impl(struct bpf_list_head *head, struct bpf_list_node *node, void *meta, __u64 off) __ksym;
extern struct bpf_list_node *bpf_list_pop_front(struct bpf_list_head *head) __ksym;

struct locked {
	struct bpf_spin_lock lock;
	int a;
	int b;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, struct locked);
} locked SEC(".maps");

private(A) struct bpf_spin_lock lock;
private(A) struct bpf_list_head head __tag("contains:item:node");

int popped;
int left = -1;

SEC("tc")
int use(struct __sk_buff *skb)
{
	struct locked fresh = { .a = 1 }, *value;
	struct bpf_list_node *node;
	struct item *item;
	int key = 0;

	bpf_map_update_elem(&locked, &key, &fresh, 0);
	value = bpf_map_lookup_elem(&locked, &key);
	if (!value)
		return 1;
	bpf_spin_lock(&value->lock);
	value->b = ++value->a;
	bpf_spin_unlock(&value->lock);

	item = bpf_obj_new_impl(bpf_core_type_id_local(struct item), 0);
	if (!item)
		return 2;
	item->value = 42;
	bpf_spin_lock(&lock);
	bpf_list_push_front_impl(&head, &item->node, 0, 0);
	node = bpf_list_pop_front(&head);
	bpf_spin_unlock(&lock);
	if (!node)
		return 3;
	item = (void *)node - __builtin_offsetof(struct item, node);
	popped = item->value;
	bpf_obj_drop_impl(item, 0);
	bpf_spin_lock(&lock);
	node = bpf_list_pop_front(&head);
	bpf_spin_unlock(&lock);
	left = node != 0;
	if (node)
		bpf_obj_drop_impl((void *)node - __builtin_offsetof(struct item, node), 0);
	return 0;
}
