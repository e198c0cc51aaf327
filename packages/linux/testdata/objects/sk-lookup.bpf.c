// Which socket a packet that nothing listens for gets.
#include "features.h"

int port = -1;
int passes;

SEC("sk_lookup")
int choose(struct bpf_sk_lookup *ctx)
{
	port = ctx->local_port;
	passes++;
	return ctx->local_port == 4321 ? SK_DROP : SK_PASS;
}
