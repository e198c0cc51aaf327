// A socket's filter: the old instructions that read packets, and how much of one is kept.
#include "features.h"

unsigned long long load_byte(void *skb, unsigned long long off) asm("llvm.bpf.load.byte");
unsigned long long load_half(void *skb, unsigned long long off) asm("llvm.bpf.load.half");

SEC("socket")
int keep(struct __sk_buff *skb)
{
	if (load_half(skb, 0) >> 8 != 0x45)
		return 0;
	return load_byte(skb, 9) == 17 ? 42 : 14;
}
