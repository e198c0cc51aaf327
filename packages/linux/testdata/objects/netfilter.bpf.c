// A hook of the packet filter, with a packet as the kernel's own types show it.
#include "features.h"

struct sk_buff {
	unsigned int len;
} __core;
struct nf_hook_state {
	unsigned char hook;
	unsigned char pf;
} __core;
struct bpf_nf_ctx {
	const struct nf_hook_state *state;
	struct sk_buff *skb;
};

int length;
int hook = -1;

SEC("netfilter")
int filter(struct bpf_nf_ctx *ctx)
{
	length = ctx->skb->len;
	hook = ctx->state->hook;
	return length > 70 ? 0 : 1;
}
