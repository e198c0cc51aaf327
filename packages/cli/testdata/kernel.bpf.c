// Programs and maps for the tests of `skep prog`, `map`, `btf` and their kin: every way in which a value can be printed.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char terms[] SEC("license") = "GPL";

enum state { STATE_NEW, STATE_OPEN = 5, STATE_GONE = -1 };

struct key {
	__u32 address;
	__u16 port;
	__u8 protocol;
};

struct value {
	__u64 packets;
	__s32 balance;
	enum state state;
	_Bool open;
	char name[11];
	__u8 mac[6];
	__u32 low : 3, high : 5;
	union {
		__u32 word;
		__u8 bytes[4];
	};
	struct {
		__u16 a, b;
	} pair[2];
	void *pointer;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, struct key);
	__type(value, struct value);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} each SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct key);
} each_key SEC(".maps");

struct inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} first SEC(".maps"), second SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 3);
	__type(key, __u32);
	__array(values, struct inner);
} table SEC(".maps") = { .values = { [1] = &second } };

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} calls SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 4);
	__type(value, __u32);
} waiting SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_STACK);
	__uint(max_entries, 4);
	__type(value, __u32);
} pile SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__uint(key_size, 4);
	__uint(value_size, 6);
} plain SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 4);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u32);
} sockets SEC(".maps");

const volatile __u32 limit = 7;
__u64 seen = 0;
struct key last = { .address = 1, .port = 2, .protocol = 3 };
static __u16 hidden = 9;

static __noinline int add(struct value *value, __u32 by)
{
	value->packets += by;
	return value->packets > limit;
}

static long visit(__u32 index, __u64 *sum)
{
	*sum += index;
	return 0;
}

SEC("xdp") int count(struct xdp_md *ctx)
{
	struct key key = { .address = 1, .port = hidden, .protocol = last.protocol };
	struct value *value;
	__u32 zero = 0;
	__u64 *own, sum = 0;

	seen++;
	hidden++;
	bpf_loop(3, visit, &sum, 0);
	own = bpf_map_lookup_elem(&each, &zero);
	if (own)
		*own += sum;
	value = bpf_map_lookup_elem(&flows, &key);
	if (value && add(value, 2))
		return XDP_DROP;
	bpf_tail_call(ctx, &calls, 1);
	return XDP_PASS;
}

SEC("xdp") int pass(struct xdp_md *ctx)
{
	bpf_map_lookup_elem(&each_key, &(__u32){ 0 });
	bpf_map_lookup_elem(&table, &(__u32){ 0 });
	bpf_map_push_elem(&waiting, &(__u32){ 0 }, 0);
	bpf_map_push_elem(&pile, &(__u32){ 0 }, 0);
	bpf_map_lookup_elem(&plain, &(__u32){ 0 });
	return XDP_PASS;
}

SEC("tc") int classify(struct __sk_buff *skb)
{
	return 0;
}

SEC("cgroup/connect4") int connect4(struct bpf_sock_addr *ctx)
{
	return 1;
}

SEC("cgroup_skb/egress") int egress(struct __sk_buff *skb)
{
	return 1;
}

SEC("sk_msg") int message(struct sk_msg_md *ctx)
{
	return SK_PASS;
}

SEC("flow_dissector") int dissect(struct __sk_buff *skb)
{
	return BPF_OK;
}

SEC("raw_tp/sys_enter") int entered(void *ctx)
{
	bpf_printk("skep %d", 1);
	return 0;
}

struct event {
	__u32 length;
	__u32 number;
};

SEC("raw_tp/sys_enter") int tell(struct bpf_raw_tracepoint_args *ctx)
{
	struct event event = { .length = sizeof(event), .number = 42 };

	bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, &event, sizeof(event));
	return 0;
}
