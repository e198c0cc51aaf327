// What the headers of libbpf 1.1 and Linux 6.1 do not have yet: declarations of the kernel's functions, macros that say things in BTF.
#pragma once
#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define __core __attribute__((preserve_access_index))
#define __tag(text) __attribute__((btf_decl_tag(text)))
#define private(name) SEC(".bss." #name) __hidden __attribute__((aligned(8)))

struct task_struct {
	int pid;
	int tgid;
	char comm[16];
	struct task_struct *group_leader;
} __core;

char LICENSE[] SEC("license") = "GPL";
