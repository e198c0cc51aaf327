// CO-RE: values of enumerations of 32 and 64 bits.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

enum bpf_map_type___mine {
	BPF_MAP_TYPE_HASH___x = 100,
	BPF_MAP_TYPE_RINGBUF___x = 101,
};

enum bpf_prog_type___mine {
	BPF_PROG_TYPE_SKEP = 500,
};

enum skep_wide {
	SKEP_WIDE_ONE = 0x100000001ULL,
	SKEP_WIDE_MINUS = -5LL,
};

enum pid_type {
	PIDTYPE_PID,
	PIDTYPE_TGID,
};

__u64 out[6];

SEC("raw_tp/sys_enter")
int enums(void *ctx)
{
	out[0] = bpf_core_enum_value(enum bpf_map_type___mine, BPF_MAP_TYPE_HASH___x);
	out[1] = bpf_core_enum_value_exists(enum bpf_prog_type___mine, BPF_PROG_TYPE_SKEP);
	out[2] = bpf_core_enum_value(enum pid_type, PIDTYPE_TGID);
	out[3] = bpf_core_enum_value_exists(enum skep_wide, SKEP_WIDE_ONE);
	if (bpf_core_enum_value_exists(enum skep_wide, SKEP_WIDE_MINUS))
		out[4] = bpf_core_enum_value(enum skep_wide, SKEP_WIDE_MINUS);
	return 0;
}

char _license[] SEC("license") = "GPL";
