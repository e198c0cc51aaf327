// Programs with memory that they share with a process, for the verifier's fuzzer.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define BPF_MAP_TYPE_ARENA 33
#define __arena __attribute__((address_space(1)))

struct {
	__uint(type, BPF_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 4);
} arena SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, int);
	__type(value, __u64);
} plain SEC(".maps");

struct item {
	struct item __arena *next;
	__u64 value;
};
struct item __arena *first;

extern void __arena *bpf_arena_alloc_pages(void *map, void __arena *address, __u32 pages, int node, __u64 flags) __ksym;
extern void bpf_arena_free_pages(void *map, void __arena *pages, __u32 count) __ksym;

SEC("syscall")
int add(void *ctx)
{
	struct item __arena *item = bpf_arena_alloc_pages(&arena, 0, 1, -1, 0);

	if (!item)
		return 1;
	item->value = 3;
	item->next = first;
	first = item;
	return 0;
}

SEC("tc")
int walk(struct __sk_buff *skb)
{
	struct item __arena *item = first;
	int key = 0;
	__u64 *value = bpf_map_lookup_elem(&plain, &key);

	// The map itself, so that the program has the arena.
	asm volatile("r1 = %[arena] ll" : : [arena] "i"(&arena) : "r1");
	if (!value)
		return 0;
	*value = skb->len;
	if (item)
		*value += item->value;
	return 1;
}

char LICENSE[] SEC("license") = "GPL";
