// Kept with its DWARF.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

int seen;

SEC("xdp")
int pass(struct xdp_md *ctx)
{
	bpf_printk("seen %d", ++seen);
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
