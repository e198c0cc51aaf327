// Maps from the program's side: rings in both directions, storages, live exchange of inner maps, mapped memory.
#include "common.h"

#define BPF_MAP_TYPE_CGRP_STORAGE 32

struct event {
	__u64 number;
	__u32 cpu;
	__u32 length;
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 * 1024);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_USER_RINGBUF);
	__uint(max_entries, 4096);
} orders SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 4);
} perf SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 16);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, __u64);
} mapped SEC(".maps");

struct inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} first SEC(".maps"), second SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 4);
	__type(key, __u32);
	__array(values, struct inner);
} outer SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__type(key, __u32);
	__array(values, struct inner);
} table SEC(".maps") = { .values = { [1] = &second } };

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u64);
} of_task SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u64);
} of_socket SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_INODE_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u64);
} of_inode SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_CGRP_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u64);
} of_cgroup SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} each SEC(".maps");

struct lpm_key {
	__u32 length;
	__u8 address[4];
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16);
	__type(key, struct lpm_key);
	__type(value, __u64);
} prefixes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_BLOOM_FILTER);
	__uint(max_entries, 100);
	__type(value, __u32);
} bloom SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 8);
	__type(value, __u64);
} queue SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__type(key, __u32);
	__type(value, __u64);
} kept SEC(".maps");

__u64 process = 0;

static __always_inline __u64 counts_wanted(void)
{
	return process;
}

struct arguments {
	__u64 number;
	__u32 times;
	__u32 length;
};

static long emit_one(__u32 index, struct event *event)
{
	event->cpu = bpf_get_smp_processor_id();
	if (bpf_ringbuf_output(&ring, event, sizeof(*event), 0))
		count(0);
	event->number++;
	return 0;
}

SEC("syscall") int emit(struct arguments *arguments)
{
	struct event event = { .number = arguments->number, .length = sizeof(event) };

	bpf_loop(arguments->times, emit_one, &event, 0);
	return 0;
}

SEC("raw_tp/sys_enter") int emit_perf(struct bpf_raw_tracepoint_args *ctx)
{
	struct event event = { .number = bpf_get_current_pid_tgid() >> 32, .length = sizeof(event) };

	if (event.number != counts_wanted())
		return 0;
	event.cpu = bpf_get_smp_processor_id();
	if (bpf_perf_event_output(ctx, &perf, BPF_F_CURRENT_CPU, &event, sizeof(event)))
		count(1);
	else
		count(2);
	return 0;
}

static long take(struct bpf_dynptr *dynptr, void *context)
{
	__u64 *value = bpf_dynptr_data(dynptr, 0, 8);

	if (value) {
		count(3);
		put(4, *value);
	}
	return 0;
}

SEC("syscall") int drain(struct arguments *arguments)
{
	put(5, bpf_user_ringbuf_drain(&orders, take, 0, 0));
	return 0;
}

SEC("tc") int use(struct __sk_buff *skb)
{
	struct lpm_key address = { .length = 32, .address = { 10, 1, 2, 3 } };
	__u32 zero = 0, one = 1, key = 7;
	__u64 *value, number = 5;
	void *inner;

	value = bpf_map_lookup_elem(&mapped, &one);
	if (value)
		__sync_fetch_and_add(value, 3);
	inner = bpf_map_lookup_elem(&outer, &key);
	if (inner && (value = bpf_map_lookup_elem(inner, &zero)))
		put(6, *value);
	inner = bpf_map_lookup_elem(&table, &one);
	if (inner && (value = bpf_map_lookup_elem(inner, &zero)))
		put(7, *value);
	value = bpf_map_lookup_elem(&each, &zero);
	if (value)
		*value += 1;
	value = bpf_map_lookup_elem(&prefixes, &address);
	put(8, value ? *value : 0);
	put(9, bpf_map_peek_elem(&bloom, &key) == 0);
	bpf_map_push_elem(&queue, &number, 0);
	return 0;
}

struct task_struct;

SEC("tp_btf/sys_enter") int remember(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	__u64 *value;

	if (bpf_get_current_pid_tgid() >> 32 != counts_wanted())
		return 0;
	value = bpf_task_storage_get(&of_task, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (value)
		*value += 1;
	return 0;
}

SEC("cgroup_skb/egress") int store(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;
	__u64 *value;

	if (!sk)
		return 1;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return 1;
	value = bpf_sk_storage_get(&of_socket, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (value)
		*value += 1;
	return 1;
}

SEC("tp_btf/sched_switch") int use_inode_and_cgroup(void *ctx)
{
	/* Names the maps, so that they belong to a program: both are written from user space here. */
	count(10);
	bpf_map_lookup_elem(&kept, &(__u32){ 0 });
	return 0;
}
