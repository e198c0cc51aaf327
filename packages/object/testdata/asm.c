// Naked functions of inline assembly, an alias, local labels.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} cells SEC(".maps");

static __attribute__((naked, noinline, used)) void helper_function(void)
{
	asm volatile("r0 = 5; exit;" ::: "memory");
}

SEC("socket")
__attribute__((naked)) int naked(void)
{
	asm volatile("					\
	r6 = r1;					\
	*(u32 *)(r10 - 4) = 0;				\
	r2 = r10;					\
	r2 += -4;					\
	r1 = %[cells] ll;				\
	call %[bpf_map_lookup_elem];			\
	if r0 == 0 goto l0_%=;				\
	r1 = *(u64 *)(r0 + 0);				\
	r1 += 1;					\
	*(u64 *)(r0 + 0) = r1;				\
l0_%=:	call helper_function;				\
	exit;						\
"	:
	: [cells] "i"(&cells), [bpf_map_lookup_elem] "i"(bpf_map_lookup_elem)
	: "memory");
}

char _license[] SEC("license") = "GPL";
