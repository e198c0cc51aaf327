// A packet without bounds checks of one's own, and what is written to it.
#include "features.h"

extern int bpf_dynptr_from_skb(struct __sk_buff *skb, __u64 flags, struct bpf_dynptr *dynptr) __ksym;
extern void *bpf_dynptr_slice(const struct bpf_dynptr *dynptr, __u32 offset, void *buffer, __u32 size) __ksym;
extern int bpf_dynptr_adjust(const struct bpf_dynptr *dynptr, __u32 start, __u32 end) __ksym;
extern __u32 bpf_dynptr_size(const struct bpf_dynptr *dynptr) __ksym;

__u32 size;
int first = -1;
int last = -1;

SEC("tc")
int look(struct __sk_buff *skb)
{
	unsigned char buffer[4], *bytes;
	struct bpf_dynptr packet;

	if (bpf_dynptr_from_skb(skb, 0, &packet))
		return 1;
	size = bpf_dynptr_size(&packet);
	bytes = bpf_dynptr_slice(&packet, 14, buffer, sizeof(buffer));
	if (bytes)
		first = bytes[0];
	if (size < 20 || bpf_dynptr_adjust(&packet, size - 4, size))
		return 2;
	bytes = bpf_dynptr_slice(&packet, 0, buffer, sizeof(buffer));
	if (bytes)
		last = bytes[3];
	return bpf_dynptr_write(&packet, 0, "\x7f", 1, 0);
}
