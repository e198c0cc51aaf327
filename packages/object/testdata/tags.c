// Tags that the verifier reads: kptr, per-CPU kptr, argument tags, lists and trees of values, an exception callback.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define __tag(name) __attribute__((btf_type_tag(name)))
#define __decl(name) __attribute__((btf_decl_tag(name)))

struct task_struct {
	int pid;
};

struct bpf_list_node {
	__u64 opaque[3];
} __attribute__((aligned(8)));

struct bpf_list_head {
	__u64 opaque[2];
} __attribute__((aligned(8)));

struct item {
	long key;
	struct bpf_list_node node;
};

struct holder {
	struct bpf_spin_lock lock;
	struct bpf_list_head head __decl("contains:item:node");
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, struct holder);
} holders SEC(".maps");

struct slot {
	struct task_struct __tag("kptr_untrusted") *other;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, struct slot);
} slots SEC(".maps");

extern void bpf_throw(__u64 cookie) __ksym;

/* Keeps the type of what the list holds. */
struct item *items;

int caught(__u64 cookie)
{
	return (int)cookie;
}

__noinline int checked(struct __sk_buff *skb __decl("arg:ctx"), int *value __decl("arg:nonnull"))
{
	return *value + skb->len;
}

SEC("tc") __decl("exception_callback:caught")
int tagged(struct __sk_buff *skb)
{
	int key = 0;
	struct holder *holder = bpf_map_lookup_elem(&holders, &key);

	if (!holder)
		bpf_throw(3);
	return checked(skb, &key) + (bpf_map_lookup_elem(&slots, &key) != 0);
}

char _license[] SEC("license") = "GPL";
