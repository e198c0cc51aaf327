// Global data in every kind of section: constants, variables, zeros, custom names, statics of functions, weak ones.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct pair {
	__u32 first;
	__u64 second;
};

const volatile __u32 limit = 7;
const volatile struct pair defaults = { .first = 1, .second = 2 };
static const volatile char name[8] = "skep";
int counter = 3;
__u64 totals[4];
static int hidden_total;
__weak int tunable = 42;
int shared SEC(".data.shared") = 5;
const volatile int frozen SEC(".rodata.frozen") = 6;
__u64 large[512];

static int next(void)
{
	static int calls;
	static int start = 100;

	return start + ++calls;
}

static int other(void)
{
	static int calls;

	return ++calls;
}

SEC("socket")
int sum(struct __sk_buff *skb)
{
	__u32 index = skb->len & 3;

	hidden_total += skb->len;
	totals[index] += defaults.second;
	large[skb->len & 511]++;
	counter++;
	return limit + name[index] + next() + other() + tunable + shared + frozen + hidden_total;
}

char _license[] SEC("license") = "GPL";
