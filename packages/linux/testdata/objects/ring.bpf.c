// Events from a program: reserved, copied, discarded, and of a length that it learns at run time.
#include "features.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8192);
} ring SEC(".maps");

struct event {
	__u32 kind;
	__u32 pid;
	char text[8];
};

SEC("raw_tp/sys_enter")
int emit(void *ctx)
{
	struct event *event = bpf_ringbuf_reserve(&ring, sizeof(*event), 0);
	struct event copy = { .kind = 2, .text = "copied" };
	struct bpf_dynptr dynptr;
	char text[4] = "dyn";

	if (!event)
		return 1;
	*event = (struct event){ .kind = 1, .pid = bpf_get_current_pid_tgid() >> 32, .text = "inplace" };
	bpf_ringbuf_submit(event, 0);
	bpf_ringbuf_output(&ring, &copy, sizeof(copy), 0);
	event = bpf_ringbuf_reserve(&ring, sizeof(*event), 0);
	if (event)
		bpf_ringbuf_discard(event, 0);
	if (bpf_ringbuf_reserve_dynptr(&ring, 4 + (bpf_get_smp_processor_id() & 1), 0, &dynptr)) {
		bpf_ringbuf_discard_dynptr(&dynptr, 0);
		return 2;
	}
	bpf_dynptr_write(&dynptr, 0, text, sizeof(text), 0);
	bpf_ringbuf_submit_dynptr(&dynptr, 0);
	return 0;
}
