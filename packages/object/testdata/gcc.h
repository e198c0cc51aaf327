// What GCC's objects need: it has an attribute for helpers, and libbpf's bpf_helpers.h is for clang.
#pragma once
#include <linux/bpf.h>

#define SEC(name) __attribute__((section(name), used))
#define __noinline __attribute__((noinline))
#define __uint(name, val) int (*name)[val]
#define __type(name, val) typeof(val) *name
#define __array(name, val) typeof(val) *name[]
#define __helper(number) __attribute__((kernel_helper(number)))

void *bpf_map_lookup_elem(void *map, const void *key) __helper(1);
long bpf_map_update_elem(void *map, const void *key, const void *value, __u64 flags) __helper(2);
long bpf_tail_call(void *context, void *map, __u32 index) __helper(12);
void *bpf_ringbuf_reserve(void *ring, __u64 size, __u64 flags) __helper(131);
void bpf_ringbuf_submit(void *data, __u64 flags) __helper(132);
struct task_struct *bpf_get_current_task_btf(void) __helper(158);

char LICENSE[] SEC("license") = "GPL";
