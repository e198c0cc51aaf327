// About 2,000 instructions and 160 CO-RE relocations: a program that walks the structures of the current process.
// clang-19 -target bpf -mcpu=v3 -O2 -g -ffile-compilation-dir=. -I/usr/include/x86_64-linux-gnu -c core.bpf.c -o core.o && llvm-strip-19 -g core.o
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct ns_common { unsigned int inum; };
struct net { struct ns_common ns; };
struct pid_namespace { struct ns_common ns; int level; };
struct mnt_namespace { struct ns_common ns; };
struct nsproxy { struct net *net_ns; struct mnt_namespace *mnt_ns; struct pid_namespace *pid_ns_for_children; };
struct mm_struct { unsigned long start_code, end_code, start_stack, total_vm, hiwater_rss; };
struct qstr { unsigned int hash, len; };
struct inode { unsigned long i_ino; unsigned short i_mode; };
struct dentry { struct dentry *d_parent; struct inode *d_inode; };
struct path { struct dentry *dentry; };
struct fs_struct { struct path root, pwd; int umask; };
struct kuid { unsigned int val; };
struct cred { struct kuid uid, euid, suid, fsuid; };
struct kernfs_node { unsigned long id; struct kernfs_node *parent; };
struct cgroup { struct kernfs_node *kn; int level; };
struct css_set { struct cgroup *dfl_cgrp; };
struct signal_struct { unsigned long nvcsw, nivcsw, min_flt, maj_flt; };
struct task_struct {
	int pid, tgid, prio, static_prio, exit_code, exit_state;
	unsigned long nvcsw, nivcsw, start_time;
	struct task_struct *real_parent, *group_leader;
	struct mm_struct *mm;
	struct fs_struct *fs;
	struct nsproxy *nsproxy;
	const struct cred *cred, *real_cred;
	struct css_set *cgroups;
	struct signal_struct *signal;
};
#pragma clang attribute pop

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} sums SEC(".maps");

#define READ(...) sum = sum * 31 + BPF_CORE_READ(task, __VA_ARGS__)
#define NUMBERS READ(pid); READ(tgid); READ(prio); READ(static_prio); READ(exit_code); READ(exit_state); READ(nvcsw); READ(nivcsw)
#define MEMORY READ(mm, start_code); READ(mm, end_code); READ(mm, start_stack); READ(mm, total_vm); READ(mm, hiwater_rss)
#define FILES READ(fs, umask); READ(fs, root.dentry, d_inode, i_ino); READ(fs, pwd.dentry, d_inode, i_mode)
#define SPACES READ(nsproxy, net_ns, ns.inum); READ(nsproxy, mnt_ns, ns.inum); READ(nsproxy, pid_ns_for_children, level)
#define RIGHTS READ(cred, uid.val); READ(cred, euid.val); READ(real_cred, suid.val); READ(cgroups, dfl_cgrp, kn, id)
#define TIMES READ(signal, nvcsw); READ(signal, nivcsw); READ(signal, min_flt); READ(signal, maj_flt)

#define WALKER(name, ...) \
	static __noinline __u64 name(struct task_struct *task) \
	{ \
		__u64 sum = 1; \
		__VA_ARGS__; \
		return sum; \
	}
#define WALKERS(name) \
	WALKER(name##_numbers, NUMBERS) WALKER(name##_memory, MEMORY) WALKER(name##_files, FILES) \
	WALKER(name##_spaces, SPACES) WALKER(name##_rights, RIGHTS) WALKER(name##_times, TIMES)
#define WALK(name, task) \
	(name##_numbers(task) + name##_memory(task) + name##_files(task) + name##_spaces(task) + name##_rights(task) + \
	 name##_times(task))

WALKERS(self) WALKERS(parent) WALKERS(leader) WALKER(other_numbers, NUMBERS; MEMORY) WALKER(other_files, FILES; SPACES)

SEC("raw_tp/sys_enter") int walk(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	__u64 sum = WALK(self, task) + WALK(parent, BPF_CORE_READ(task, real_parent)), *place;
	__u32 key = 0;

	sum += WALK(leader, BPF_CORE_READ(task, group_leader));
	task = BPF_CORE_READ(task, real_parent, real_parent);
	sum += other_numbers(task) + other_files(task);
	place = bpf_map_lookup_elem(&sums, &key);
	if (place)
		*place = sum;
	return 0;
}

char _license[] SEC("license") = "GPL";
