// A program that gives up in the middle of a function; what it then gives, a function of its own decides.
#include "features.h"

extern void bpf_throw(__u64 cookie) __ksym __attribute__((noreturn));

const volatile int limit = 10;

__noinline static int check(int length)
{
	if (length > limit)
		bpf_throw(length);
	return length;
}

__noinline int when_thrown(__u64 cookie)
{
	return cookie + 1000;
}

SEC("tc") __tag("exception_callback:when_thrown")
int with_callback(struct __sk_buff *skb)
{
	return check(skb->len) + 1;
}

SEC("tc")
int without_callback(struct __sk_buff *skb)
{
	return check(skb->len) + 2;
}
